#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds everything, and runs every test: first the rooms below under AddressSanitizer and
# UBSan and the fuzz targets for a few seconds each, then the Release build with the end-to-end tests. Real images are
# used where ../shared/data is present.
#
#   deploy/test.sh            everything
#   deploy/test.sh --quick    the Release build's tests only
set -euo pipefail
cd "$(dirname "$0")/.."

quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "unknown option '$1'; see deploy/test.sh --help" >&2; exit 2 ;;
esac

deploy/packages.sh test
jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1 CTEST_PARALLEL_LEVEL=$jobs

# Rooms whose tests have passed under the sanitizers. The aim is everything that links no LibTorch: add a room here once it
# does. site_agent_agent_test takes minutes: run it by hand when the agent changes.
sanitized=(protocols_base_test protocols_crypto_test protocols_update_test protocols_privacy_test protocols_audit_test
  protocols_plan_test protocols_storage_test protocols_secagg_test protocols_wire_test eval_metrics_test eval_stats_test
  eval_federated_test eval_report_test eval_cli_test coordinator_registry_test coordinator_storage_test
  coordinator_rounds_test site_agent_cohort_test site_agent_policy_test site_agent_storage_test
  protocols_transport_test coordinator_web_test site_agent_link_test site_agent_serve_test deploy_phantoms_test
  models_preprocess_test models_ensemble_test)

if [[ $quick == no ]]; then
  echo "== AddressSanitizer and UBSan, without LibTorch"
  cmake --preset asan >/dev/null
  cmake --build --preset asan --target "${sanitized[@]}" -- -j"$jobs"
  ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
    LSAN_OPTIONS=suppressions=$PWD/cmake/leaks_of_others.txt:print_suppressions=0 \
    ctest --preset asan -R "^($(IFS='|'; echo "${sanitized[*]}"))$"

  echo "== Fuzzing, a few seconds each"
  FUZZ_SEED=1 tests/fuzz/run.sh 5
fi

echo "== Release"
cmake --preset release >/dev/null
cmake --build --preset release -- -j"$jobs"
ctest --preset release
