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

# Canary: nobody's name, number or UID is in what the coordinator keeps or in any log.
canaries=$run/canaries
find "$run/q" -name '*.dcm' -path '*/images/*' | sed -n '1,400p' | while read -r film; do
  dcmdump -q +P PatientID +P AccessionNumber +P StudyInstanceUID +P SOPInstanceUID "$film" 2>/dev/null |
    sed -n 's/.*\[\(.*\)\].*/\1/p'
done | sort -u >"$canaries"
check "there are canaries to look for" test "$(wc -l <"$canaries")" -gt 100
nothing_leaked() { ! grep -rqaF -f "$canaries" "$@"; }
check "no identifier is on the coordinator's disk" nothing_leaked "$run/q/coordinator"
check "no identifier is in a log" nothing_leaked "$run"/q/*/agent/log "$run/q/coordinator/log"

for site in "$run"/q/*/agent; do
  check "the audit chain of $(basename "$(dirname "$site")") is whole" "$build/bin/cloister-site" audit verify --config "$site/site.yaml"
  check "its report is there" test -s "$(ls "$site"/data/reports/*/report.html | head -n 1)"
done

kill -TERM "$quickstart"
wait "$quickstart" 2>/dev/null || true
nothing_runs() { ! pgrep -f "$run/q"; }
check "nothing is left running" nothing_runs
((failures == 0)) || { echo "$failures checks failed"; exit 1; }
echo "all checks passed"
