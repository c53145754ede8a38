#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Who may include whom. CMake does not enforce the direction of includes; this does. Usage: cmake/check_includes.sh [source folder]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# Our folders: a folder may include itself and the folders (or whole rooms) named here.
declare -A may=(
  [protocols/base]=""
  [protocols/crypto]="protocols/base"
  [protocols/update]="protocols/base"
  [protocols/privacy]="protocols/base"
  [protocols/secagg]="protocols/base protocols/crypto"
  [protocols/audit]="protocols/base protocols/crypto"
  [protocols/plan]="protocols/base protocols/crypto protocols/update protocols/secagg protocols/privacy"
  [protocols/wire]="protocols/base protocols/crypto protocols/secagg protocols/audit protocols/update protocols/privacy protocols/plan"
  [protocols/storage]="protocols/base protocols/audit protocols/crypto"
  [protocols/transport]="protocols/base protocols/crypto protocols/plan protocols/wire protocols/storage"
  [eval]="protocols/base eval"
  [models]="protocols/base protocols/crypto/hash.h protocols/crypto/secret.h protocols/crypto/seeded_stream.h protocols/update protocols/privacy protocols/plan models"
  [coordinator]="protocols eval coordinator"
  [site_agent]="protocols eval models site_agent"
  [deploy]="protocols models site_agent deploy"
)

# Third-party headers: a pattern and the folders that alone may include it.
only=(
  '<openssl/|protocols/crypto'
  '<google/protobuf/|protocols/wire protocols/transport coordinator/service coordinator/cli site_agent/link'
  '<grpcpp/|protocols/transport coordinator/service coordinator/cli site_agent/link'
  '<soci/|protocols/storage'
  '<sqlite3.h|protocols/storage'
  '<yaml-cpp/|protocols/base'
  '<torch/|models/nets models/train models/infer models/torch_guard.h site_agent/worker'
  '<ATen/|models/nets models/train models/infer models/torch_guard.h site_agent/worker'
  '<opencv2/|models/preprocess deploy/phantoms'
  '<dcmtk/|site_agent/deidentify site_agent/ingest site_agent/serve deploy/phantoms'
  '<openjpeg|site_agent/ingest'
  '<httplib.h|protocols/transport'
)
# Pure rooms: no clock, no threads, no files, no network of their own.
pure='protocols/secagg protocols/privacy protocols/audit coordinator/rounds site_agent/policy'
impure='<(thread|mutex|condition_variable|fstream|filesystem|unistd.h|sys/socket.h|chrono|iostream|absl/time/clock.h|google/.*|grpcpp/.*)>'

failures=0
complain() { printf '%s\n' "$1"; failures=$((failures + 1)); }

is_within() {  # path, list of folders
  local path=$1 folder
  for folder in $2; do [[ $path == "$folder"/* || $path == "$folder" ]] && return 0; done
  return 1
}

while IFS= read -r file; do
  room=${file%%/*}
  folder=$(cut -d/ -f1-2 <<<"$file")
  allowed=${may[$folder]-${may[$room]-}}
  while IFS= read -r line; do
    if [[ $line =~ \"((protocols|models|eval|coordinator|site_agent|tests|deploy)/[^\"]+)\" ]]; then
      included=${BASH_REMATCH[1]}
      is_within "$included" "$folder $allowed" || complain "$file: may not include $included"
    fi
    for rule in "${only[@]}"; do
      if [[ $line == *"${rule%%|*}"* ]]; then
        is_within "$file" "${rule#*|}" || complain "$file: ${rule%%|*}...> belongs to ${rule#*|} alone"
      fi
    done
    if is_within "$file" "$pure" && [[ $line =~ $impure ]]; then complain "$file: a pure room may not have ${BASH_REMATCH[0]}"; fi
  done < <(grep -hE '^\s*#\s*include' "$file" || true)
done < <(find protocols eval models coordinator site_agent deploy -name '*.h' -o -name '*.cc' | sort)

if ((failures > 0)); then
  echo "$failures includes point the wrong way; see docs/adr and cmake/check_includes.sh"
  exit 1
fi
echo "include directions: ok"
