#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what Cloister is built from and run with, from Debian 12 or 13. Does nothing when everything is there.
# Usage: deploy/packages.sh [run|test]     run: to build and run; test: also what only the tests need
set -euo pipefail

packages=(
  build-essential cmake ninja-build ccache pkg-config git ca-certificates curl
  libtorch-dev libgloo-dev libopenblas0-openmp
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
  libssl-dev libabsl-dev libfmt-dev libspdlog-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev
  libsoci-dev libsqlite3-dev libcpp-httplib-dev libcurl4-openssl-dev libseccomp-dev
  libdcmtk-dev dcmtk libopenjp2-7-dev libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev
  orthanc orthanc-dicomweb jq procps
)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev clang clang-format libclang-rt-dev dicom3tools
  python3-sklearn python3-scipy python3-statsmodels r-base-core r-cran-proc r-cran-epir r-cran-metafor)
[[ ${1:-run} == test ]] && packages+=("${test_packages[@]}")

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
((${#missing[@]} == 0)) && exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "these packages are missing and installing them needs root: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${#missing[@]} Debian packages ..."
log=$(mktemp)
# A package's service must not start by itself: the scripts start their own PACS.
install() {
  "${as_root[@]}" apt-get update -qq &&
  # Newer Debians have the character sets of names (GB18030, EUC-JP) in a package of their own.
  if apt-cache show libc-gconv-modules-extra >/dev/null 2>&1; then missing+=(libc-gconv-modules-extra); fi &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y --no-install-recommends "${missing[@]}"
}
if ! install >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "installing packages failed; the whole log is $log" >&2
  exit 1
fi
rm -f "$log"
