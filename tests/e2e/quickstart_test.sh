#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# End to end: deploy/quickstart.sh with a small experiment, real processes and real Orthancs, and what must be true afterwards.
# Usage: tests/e2e/quickstart_test.sh BUILD_FOLDER [DATA_FOLDER]      DATA_FOLDER: real images; skipped aloud where absent
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 data=${2:-}
if [[ -n $data && ! -f $data/labels.csv ]]; then
  echo "SKIPPED: $data is not on this machine"
  exit 77
fi
run=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$run"' EXIT
failures=0
check() {  # WHAT COMMAND...
  local what=$1
  shift
  if "$@" >"$run/check.log" 2>&1; then
    echo "ok: $what"
  else
    echo "FAILED: $what"
    tail -n 20 "$run/check.log"
    failures=$((failures + 1))
  fi
}

# Gates that two rounds on few films can pass: this test is about the way, not about accuracy.
sed -E 's/at_least: [0-9.]+/at_least: 0.05/' \
  deploy/experiments/chest_pneumonia.yaml >"$run/experiment.yaml"
options=(--build "$build" --run "$run/q" --rounds 2 --experiment "$run/experiment.yaml" --keep)
if [[ -n $data ]]; then options+=(--data "$data"); else options+=(--studies 48); fi

deploy/quickstart.sh "${options[@]}" >"$run/log" 2>&1 &
quickstart=$!
until grep -q 'Everything is still running' "$run/log"; do
  if ! kill -0 "$quickstart" 2>/dev/null; then
    cat "$run/log"
    for log in "$run"/q/*/agent/log "$run/q/coordinator/log"; do echo "== $log"; tail -n 15 "$log"; done
    echo "FAILED: the quickstart stopped early"
    exit 1
  fi
  sleep 1
done
sed -n '/== Results/,$p' "$run/log"

hospital=$(ls "$run"/q/*/images/arrived/*.dcm | head -n 1 | sed "s#^$run/q/##; s#/.*##")
web=http://127.0.0.1:$(<"$run/q/ports/$hospital-pacs-http")
study=$(<"$run/q/answered-study")
mkdir "$run/answer"
for instance in $(curl -s "$web/studies/$study/instances" | jq -r '.[].ID'); do
  curl -s "$web/instances/$instance/file" -o "$run/answer/$(curl -s "$web/instances/$instance/simplified-tags" | jq -r .Modality).dcm"
done
no_error() { ! dciodvfy "$1" 2>&1 | grep -q '^Error'; }
check "the structured report is in the study" test -f "$run/answer/SR.dcm"
check "the capture is in the study" test -f "$run/answer/OT.dcm"
check "dciodvfy finds no error in the structured report" no_error "$run/answer/SR.dcm"
check "dciodvfy finds no error in the capture" no_error "$run/answer/OT.dcm"

# Canary: nobody's name, number or UID, and no piece of a film, is in what left a hospital, on the coordinator's disk, or in
# any log. The same search must find them in the hospitals' own archives, or it proves nothing.
films=$run/films canaries=$run/canaries
find "$run/q" -name '*.dcm' -path '*/images/*' | sort | awk 'NR % 3 == 1 && ++count <= 200' >"$films"
while read -r film; do
  dcmdump -q +P PatientName +P PatientID +P AccessionNumber +P StudyInstanceUID +P SOPInstanceUID "$film" 2>/dev/null |
    sed -n 's/.*\[\(.*\)\].*/\1/p'
done <"$films" | awk 'length($0) >= 6' | sort -u >"$canaries"
left=()  # what left a hospital, or may be read by somebody outside it
for hospital in "$run"/q/*/agent; do
  left+=("$hospital/log")
  [[ -d $hospital/data/spool ]] && left+=("$hospital/data/spool")
  while read -r log; do left+=("$log"); done < <(find "$hospital/data" -name 'worker.log')
done
left+=("$run/q/coordinator")
nothing_leaked() {  # grep's status 1: looked everywhere and found nothing
  local status=0
  grep -raF -l -f "$canaries" "$@" || status=$?
  ((status == 1))
}
archives=("$run"/q/*/pacs)
mapfile -t some_films < <(awk 'NR % 8 == 1' "$films")
check "there are canaries to look for" test "$(wc -l <"$canaries")" -gt 100
check "the search finds identifiers in the hospitals' archives" grep -rqaF -f "$canaries" "${archives[@]}"
check "no identifier left a hospital or is in a log" nothing_leaked "${left[@]}"
finds_pixels() {
  local status=0
  tests/e2e/find_pixels.pl "${some_films[@]}" -- "$@" || status=$?
  ((status == 1))
}
check "the search finds pixels in the hospitals' archives" finds_pixels "${archives[@]}"
check "no piece of a film left a hospital or is in a log" tests/e2e/find_pixels.pl "${some_films[@]}" -- "${left[@]}"

for site in "$run"/q/*/agent; do
  check "the audit chain of $(basename "$(dirname "$site")") is whole" "$build/bin/cloister-site" audit verify --config "$site/site.yaml"
  check "its report is there" test -s "$(ls "$site"/data/reports/*/report.html | head -n 1)"
done

kill -TERM "$quickstart"
wait "$quickstart" 2>/dev/null || true
# A command that one of the hospitals' scripts was just running may take a moment to end.
nothing_runs() {
  for _ in {1..50}; do pgrep -f "$run/q" >/dev/null || return 0; sleep 0.1; done
  pgrep -af "$run/q"
  return 1
}
check "nothing is left running" nothing_runs
((failures == 0)) || { echo "$failures checks failed"; exit 1; }
echo "all checks passed"
