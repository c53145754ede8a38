#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets and runs each for a while, two at a time, from their seeds and what earlier runs found (kept in
# build/fuzz). Prints a table; ends with 1 and the file to replay when a target breaks.
#
#   tests/fuzz/run.sh [SECONDS [TARGET...]]     60 seconds and all targets unless told otherwise
#   build/fuzz/bin/fuzz_<name> FILE             replays one input
set -euo pipefail
cd "$(dirname "$0")/../.."

case "${1:-}" in -h | --help) sed -n '3,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
seconds=${1:-60}
shift || true
build=build/fuzz
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

cmake --preset fuzz >/dev/null
if ! cmake --build --preset fuzz --target fuzz -- -j"$(nproc)" >"$build/build.log" 2>&1; then
  tail -n 40 "$build/build.log"
  exit 1
fi

run_one() {  # name, longest input
  local name=$1 corpus=$build/corpus/$1 log=$build/logs/$1 artifacts=$build/artifacts/$1/ dictionary=() result=ok
  mkdir -p "$corpus" "$artifacts" "$build/logs"
  [[ -f tests/fuzz/$name.dict ]] && dictionary=(-dict="tests/fuzz/$name.dict")
  "$build/bin/fuzz_$name" --seeds "$corpus"
  "$build/bin/fuzz_$name" -max_total_time="$seconds" -max_len="$2" -timeout=10 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$artifacts" "${dictionary[@]}" "$corpus" >"$log" 2>&1 || result=BROKEN
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

printf '%-22s %10s %8s %7s %7s  %s\n' target executions exec/s edges corpus result
failures=0
while read -r target longest; do
  name=${target#fuzz_}
  (($# > 0)) && [[ " $* " != *" $name "* ]] && continue
  while (($(jobs -rp | wc -l) >= 2)); do
    wait -n || failures=$((failures + 1))
  done
  run_one "$name" "$longest" &
done <$build/tests/fuzz/targets
while (($(jobs -p | wc -l) > 0)); do
  wait -n || failures=$((failures + 1))
done
if ((failures > 0)); then
  echo "$failures targets broke"
  exit 1
fi
