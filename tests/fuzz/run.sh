#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets and runs each for a while, two at a time, from their seeds and what earlier runs found (kept in
# build/fuzz). Prints a table; ends with 1 and the file to replay when a target breaks.
#
#   tests/fuzz/run.sh [SECONDS [TARGET...]]     60 seconds and all targets unless told otherwise; FUZZ_SEED=1: the same
#                                               inputs in each run of the same program
#   build/fuzz/bin/fuzz_<name> FILE             replays one input
set -euo pipefail
cd "$(dirname "$0")/../.."

case "${1:-}" in -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
seconds=${1:-60}
shift || true
build=build/fuzz
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

cmake --preset fuzz >/dev/null
if ! cmake --build --preset fuzz --target fuzz -- -j"$(nproc)" >"$build/build.log" 2>&1; then
  tail -n 40 "$build/build.log"
  exit 1
fi

run_one() {  # name, longest input, dictionary if it has one
  local name=$1 corpus=$build/corpus/$1 log=$build/logs/$1 artifacts=$build/artifacts/$1/ dictionary=() result=ok
  mkdir -p "$corpus" "$artifacts" "$build/logs"
  [[ -n ${3:-} ]] && dictionary=(-dict="tests/fuzz/$3.dict")
  "$build/bin/fuzz_$name" --seeds "$corpus"
  "$build/bin/fuzz_$name" -max_total_time="$seconds" -max_len="$2" -timeout=10 -rss_limit_mb=2048 \
    ${FUZZ_SEED:+-seed="$FUZZ_SEED"} -print_final_stats=1 -artifact_prefix="$artifacts" "${dictionary[@]}" "$corpus" >"$log" 2>&1 || result=BROKEN
  stat() { sed -n "s/^stat::$1: *//p" "$log"; }
  last() { grep -oE "$1: [0-9]+" "$log" | tail -n 1 | tr -cd 0-9; }
  printf '%-22s %10s %8s %7s %7s  %s\n' "$name" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
    "$(last cov)" "$(last corp)" "$result"
  if [[ $result != ok ]]; then
    grep -m 3 -E "invariant broken|ERROR:|runtime error:" "$log" || tail -n 3 "$log"
    echo "  replay: $build/bin/fuzz_$name $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
    echo "  log:    $log"
    return 1
  fi
}

wanted=$(IFS='|'; echo "$*")
if ! targets=$(grep -E "^(${wanted:-.*})( |\$)" $build/tests/fuzz/targets); then
  echo "no such target; there are: $(cut -d ' ' -f 1 $build/tests/fuzz/targets | xargs)" >&2
  exit 2
fi
printf '%-22s %10s %8s %7s %7s  %s\n' target executions exec/s edges corpus result
export build seconds
export -f run_one
xargs -P 2 -L 1 bash -c 'run_one "$@"' run_one <<<"$targets" || { echo "broken: see above"; exit 1; }
