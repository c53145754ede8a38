#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Four hospitals on one machine: installs what is missing, builds, and runs the whole of Cloister once.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/quickstart/lib.sh

usage() {
  cat <<'EOF'
deploy/quickstart.sh: four hospitals on one machine train, validate, publish, and answer in PACS.

  deploy/quickstart.sh                                  phantoms: made-up chest films with known truth
  deploy/quickstart.sh --data ../shared/data/chest_xray real images: a folder with labels.csv (columns image, label,
                                                        patient_id, site_group; optional age, sex, view). A hospital is the part of
                                                        site_group before the first "_".
Options
  --data DIR       real images instead of phantoms
  --studies N      phantom studies for each hospital (default 140)
  --rounds N       rounds of federated training (default: what the experiment file says)
  --experiment F   experiment file (default deploy/experiments/chest_pneumonia.yaml)
  --run DIR        where the hospitals live (default build/quickstart/phantoms or .../real); a second run goes on with it
  --fresh          forget an earlier run in that folder first
  --keep           leave everything running at the end; Ctrl-C then stops it
  --build DIR      use programs that are built already (a build folder), without installing or building
  -h, --help       this text

What it does: installs Debian packages; builds (Release); makes a consortium CA and certificates; starts a coordinator and four
hospitals, each with its own Orthanc as PACS; loads every PACS; then cohorts, local-only baselines, rounds with secure aggregation,
cross-site validation, gates, a signed release, each hospital's validation report and sign-off; and a new study that is answered in PACS.
Everything listens on 127.0.0.1 only. Exit status: 0 if all of that happened.
EOF
}

data="" studies=140 rounds="" experiment=deploy/experiments/chest_pneumonia.yaml run="" fresh=no keep=no build=""
while (($#)); do
  case $1 in
    --data) data=${2:?--data needs a folder}; shift 2 ;;
    --studies) studies=${2:?--studies needs a number}; shift 2 ;;
    --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
    --experiment) experiment=${2:?--experiment needs a file}; shift 2 ;;
    --run) run=${2:?--run needs a folder}; shift 2 ;;
    --build) build=${2:?--build needs a folder}; shift 2 ;;
    --fresh) fresh=yes; shift ;;
    --keep) keep=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option '$1'; see deploy/quickstart.sh --help" >&2; exit 2 ;;
  esac
done
[[ -z $data || -f $data/labels.csv ]] || fail "$data/labels.csv does not exist; --data takes a folder of images with a labels.csv"
[[ -f $experiment ]] || fail "there is no experiment file $experiment"
[[ $studies =~ ^[0-9]+$ && ( -z $rounds || $rounds =~ ^[0-9]+$ ) ]] || fail "--studies and --rounds take whole numbers"
kind=phantoms; [[ -n $data ]] && kind=real
run=$(realpath -m "${run:-build/quickstart/$kind}")
trap stop_everything EXIT
trap 'echo; exit 130' INT TERM

if [[ -z $build ]]; then
  say "Packages and build"
  deploy/packages.sh run
  cmake --preset release -B build/release -DCLOISTER_TESTS=OFF >"build-configure.log" 2>&1 || { cat build-configure.log; rm -f build-configure.log; fail "configuring the build failed"; }
  rm -f build-configure.log
  cmake --build build/release -- -j"$(nproc)"
  build=build/release
fi
bin=$(realpath "$build/bin")
export PATH="$bin:$PATH"
[[ $fresh == yes ]] && rm -rf "$run"
mkdir -p "$run"
chmod 700 "$run"
SECONDS=0

say "Consortium: a CA, a coordinator, an operator"
hospitals=$(hospital_names)
make_consortium
start_coordinator

say "Hospitals: $(echo $hospitals | sed 's/ /, /g')"
for hospital in $hospitals; do make_images "$hospital"; done
for hospital in $hospitals; do make_hospital "$hospital"; done
for hospital in $hospitals; do start_pacs "$hospital"; done
for hospital in $hospitals; do load_pacs "$hospital"; done
for hospital in $hospitals; do start_site "$hospital"; done

say "Experiment: $(basename "$experiment")"
submit_experiment
approve_everywhere
follow_experiment

say "Release: verified and validated again in every hospital; a demonstration clinician signs"
sign_everywhere

say "A new study arrives in a PACS"
answer_new_study

say "Results"
print_table
print_places
echo
printf 'All of it took %d min %02d s after the build.\n' $((SECONDS / 60)) $((SECONDS % 60))
if [[ $keep == yes ]]; then
  echo "Everything is still running; Ctrl-C stops it."
  sleep infinity &
  pid_of[waiting]=$!
  wait "${pid_of[waiting]}"
fi
