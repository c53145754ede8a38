#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C++ file reads as clang-format writes it. Versions differ in taste, so only the one named here judges.
set -euo pipefail
cd "$(dirname "$0")/.."
version=14
tool=$(command -v "clang-format-$version" || command -v clang-format || true)
if [[ -z $tool ]] || ! "$tool" --version | grep -q "version $version\."; then
  echo "SKIPPED: clang-format $version is not installed here; formatting was not checked"
  exit 77
fi
find protocols models eval coordinator site_agent tests deploy \( -name '*.h' -o -name '*.cc' \) -print0 |
  xargs -0 "$tool" --dry-run --Werror
echo "format: ok"
