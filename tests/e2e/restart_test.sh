#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same experiment twice in the same four hospitals: once undisturbed, once with a site and the coordinator killed (SIGKILL) in the
# middle of a round and started again. Both must end with the same bytes. Usage: tests/e2e/restart_test.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "$0")/../.."
source deploy/quickstart/lib.sh
bin=$(realpath "$1/bin")
export PATH="$bin:$PATH"
run=$(mktemp -d)
data="" studies=40 rounds=3 experiment=$run/plan.yaml
sed -E 's/at_least: [0-9.]+/at_least: 0.05/' deploy/experiments/chest_pneumonia.yaml >"$experiment"
tell_and_clean() {
  local status=$?
  if ((status != 0)); then
    for log in "$run"/*/agent/log "$run/coordinator/log"; do echo "== $log"; tail -n 25 "$log"; done
  fi
  kill $(jobs -p) 2>/dev/null || true
  rm -rf "$run"
}
trap tell_and_clean EXIT

phase_of() { operator --json experiment status "$job" | jq -r '"\(.phase) \(.round)"'; }
until_phase() {  # PATTERN: waits until "PHASE ROUND" matches
  local end=$((SECONDS + 300))
  until [[ $(phase_of 2>/dev/null) =~ $1 ]]; do
    if [[ ! $1 =~ FAILED && $(phase_of 2>/dev/null) =~ ^(FAILED|ABORTED) ]]; then
      operator experiment status "$job"
      echo "FAILED: the experiment ended early"
      exit 1
    fi
    ((SECONDS < end)) || { echo "FAILED: waited 300 s for $1; it is $(phase_of)"; exit 1; }
    sleep 0.1
  done
}
kill_hard() { kill -9 "${pid_of[$1]}"; wait "${pid_of[$1]}" 2>/dev/null || true; }
final_model() { operator --json experiment status "$job" | jq -r .model; }

hospitals=$(hospital_names)
make_consortium
start_coordinator
for hospital in $hospitals; do
  make_images "$hospital"
  make_hospital "$hospital"
  start_pacs "$hospital"
  load_pacs "$hospital"
  start_site "$hospital"
done

submit_experiment
approve_everywhere
until_phase '^(RELEASED|FAILED|ABORTED)'
undisturbed=$(final_model)
echo "undisturbed: $(phase_of), model $undisturbed"

submit_experiment
approve_everywhere
until_phase '^TRAINING [1-9]|^(VALIDATING|CALIBRATING|RELEASED)'
kill_hard south
start_site south
echo "killed and started a site in round 1"
until_phase '^TRAINING [2-9]|^(VALIDATING|CALIBRATING|RELEASED)'
kill_hard coordinator
start_coordinator
echo "killed and started the coordinator in round 2"
until_phase '^TRAINING [3-9]|^(VALIDATING|CALIBRATING|RELEASED)'
kill_hard coordinator
kill_hard east
start_coordinator
start_site east
echo "killed and started both in round 3"
until_phase '^(RELEASED|FAILED|ABORTED)'
disturbed=$(final_model)
echo "disturbed:   $(phase_of), model $disturbed"

[[ $(phase_of) == RELEASED* ]] || { echo "FAILED: the disturbed run was not released"; exit 1; }
[[ $undisturbed == "$disturbed" && $undisturbed != null ]] || { echo "FAILED: the models differ"; exit 1; }
for hospital in $hospitals; do
  site "$hospital" audit verify >/dev/null || { echo "FAILED: the audit chain of $hospital is broken"; exit 1; }
done
echo "all checks passed: the same bytes"
