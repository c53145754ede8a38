# SPDX-License-Identifier: Apache-2.0
# The steps of deploy/quickstart.sh. Sourced; uses its variables: data studies rounds experiment run bin hospitals.
# Layout of the run folder: ca/ operator/ coordinator/ and, for every hospital, HOSPITAL/{images,pacs,agent,log}.
# shellcheck shell=bash disable=SC2154

declare -A pid_of=()  # name -> process id of what we started
password=quickstart-demo

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

# Runs a command quietly; shows its output only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    fail "failed: $*"
  fi
  rm -f "$log"
}

# start NAME LOG COMMAND...: runs in the background and remembers the process.
start() {
  local name=$1 log=$2
  shift 2
  "$@" >>"$log" 2>&1 &
  pid_of[$name]=$!
}

alive() { kill -0 "${pid_of[$1]}" 2>/dev/null; }

stop_everything() {
  local status=$? name
  trap - EXIT INT TERM
  ((${#pid_of[@]})) && kill "${pid_of[@]}" 2>/dev/null
  for name in "${!pid_of[@]}"; do wait "${pid_of[$name]}" 2>/dev/null; done
  exit "$status"
}

# wait_for SECONDS WHAT PROCESS LOG COMMAND...: until the command succeeds.
wait_for() {
  local seconds=$1 what=$2 process=$3 log=$4 end
  shift 4
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ! alive "$process"; then tail -n 15 "$log" >&2; fail "$process stopped; its log is $log"; fi
    ((SECONDS < end)) || { tail -n 15 "$log" >&2; fail "$what took longer than $seconds s; the log is $log"; }
    sleep 0.2
  done
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port NAME: the port of a service of this run; the same one in a later run while it is free.
port() {
  local file=$run/ports/$1 number
  mkdir -p "$run/ports"
  if [[ -f $file ]]; then
    number=$(<"$file")
  else
    number=0
    while ((number == 0)) || ! port_is_free "$number" || grep -qxs "$number" "$run"/ports/*; do
      number=$((20000 + RANDOM % 12000))
    done
    echo "$number" >"$file"
  fi
  echo "$number"
}

# Ports of an earlier run that somebody else took meanwhile are chosen anew, so the configurations that hold them are too.
forget_taken_ports() {
  local file
  for file in "$run"/ports/*; do
    [[ -f $file ]] || continue
    if ! port_is_free "$(<"$file")"; then
      fail "port $(<"$file") of an earlier run is in use: stop what listens there (a quickstart with --keep?), or give another --run folder"
    fi
  done
}

hospital_names() {
  if [[ -z $data ]]; then
    echo north south east west
  else
    local column
    column=$(head -1 "$data/labels.csv" | tr ',' '\n' | grep -nx site_group | cut -d: -f1)
    [[ -n $column ]] || fail "$data/labels.csv has no column site_group"
    # site_group stands before every column that may hold a quoted comma, except where an image's place is quoted.
    sed 's/"[^"]*"/quoted/g' "$data/labels.csv" | tail -n +2 | cut -d, -f"$column" | cut -d_ -f1 | sort | uniq -c |
      sort -rn | awk '{print $2}' | tr '\n' ' ' | sed 's/ $//'
  fi
}

# ---- consortium ----

make_consortium() {
  forget_taken_ports
  local home
  if [[ ! -f $run/ca/ca.pem ]]; then
    quietly cloister ca init --folder "$run/ca" --name "Quickstart consortium"
  fi
  home=$run/coordinator
  if [[ ! -f $home/certificates/tls.pem ]]; then
    quietly cloister enroll --id coordinator --role coordinator --folder "$home/certificates"
    issue "$home/certificates/coordinator.csr" "$home/certificates.pem" --host localhost --host 127.0.0.1
    quietly cloister enroll --role coordinator --folder "$home/certificates" --install "$home/certificates.pem"
  fi
  if [[ ! -f $home/coordinator.yaml ]]; then
    cat >"$home/coordinator.yaml" <<EOF
listen: 127.0.0.1:$(port coordinator)
data: data
certificates: certificates
web: {port: $(port status), users: users}
EOF
    printf '%s\n' "$password" | quietly cloister-coordinator web-user demo --config "$home/coordinator.yaml"
  fi
  home=$run/operator
  if [[ ! -f $home/tls.pem ]]; then
    quietly cloister --coordinator "127.0.0.1:$(port coordinator)" enroll --id study-office --folder "$home"
    issue "$home/operator.csr" "$home/certificates.pem"
    quietly cloister enroll --folder "$home" --install "$home/certificates.pem"
  fi
}

# issue REQUEST CERTIFICATES [OPTION...]: the consortium's officer approves a request.
issue() {
  local request=$1 out=$2
  shift 2
  quietly cloister ca approve "$request" --folder "$run/ca" --out "$out" --yes "$@"
}

operator() { cloister --config "$run/operator/operator.yaml" "$@"; }

start_coordinator() {
  local log=$run/coordinator/log
  start coordinator "$log" cloister-coordinator serve --config "$run/coordinator/coordinator.yaml"
  wait_for 20 "starting the coordinator" coordinator "$log" operator site list
  echo "coordinator: 127.0.0.1:$(port coordinator)   status page: http://127.0.0.1:$(port status)/"
}

# ---- a hospital's images ----

held_out=4  # studies of each hospital that are not in its PACS at first: one of them "arrives" in each run

make_images() {
  local hospital=$1 out=$run/$1/images
  [[ -f $out/ready ]] && return
  rm -rf "$out"
  mkdir -p "$run/$hospital"
  if [[ -z $data ]]; then
    quietly cloister-phantoms --out "$out" --site "$hospital" --studies "$studies" --seed 7
  else
    quietly cloister-import --csv "$data/labels.csv" --out "$out" --site "$hospital" --image-column image --label-column label \
      --patient-column patient_id --finding-column finding --age-column age --sex-column sex --view-column view \
      --filter "site_group=$hospital,${hospital}_*"
  fi
  hold_out "$out"
  touch "$out/ready"
}

# Keeps some positive studies away from the PACS and from the label file, for the day they arrive.
hold_out() {
  local out=$1 accession
  mkdir -p "$out/new"
  for accession in $(awk -F, '$2 == "pneumonia" {print $1}' "$out/labels.csv" | head -n "$held_out"); do
    mv "$out"/dicom/*/"$accession.dcm" "$out/new/"
    sed -i "/^$accession,/d" "$out/labels.csv"
  done
}

# ---- a hospital's PACS and agent ----

agent_title() { local title=${1^^}; echo "${title:0:8}_AI"; }
pacs_title() { local title=${1^^}; echo "${title:0:8}_PACS"; }

make_hospital() {
  local hospital=$1 home=$run/$1
  mkdir -p "$home/pacs"
  # The PACS: its own AE title, knows the agent, and routes every new image to it.
  sed -e "s#@AGENT@#agent#" deploy/pacs/route_to_agent.lua.in >"$home/pacs/route.lua"
  sed -e "s#@NAME@#$hospital#; s#@STORAGE@#$home/pacs/storage#; s#@LUA_SCRIPTS@#\"$home/pacs/route.lua\"#" \
    -e "s#@HTTP_PORT@#$(port "$hospital-pacs-http")#; s#@DICOM_PORT@#$(port "$hospital-pacs-dicom")#" \
    -e "s#@AE_TITLE@#$(pacs_title "$hospital")#" \
    -e "s#@MODALITIES@#\"agent\": [\"$(agent_title "$hospital")\", \"127.0.0.1\", $(port "$hospital-agent-dicom")], \"loader\": [\"LOADER\", \"127.0.0.1\", 104]#" \
    deploy/pacs/orthanc.json.in >"$home/pacs/orthanc.json"

  [[ -f $home/agent/site.yaml ]] && return
  quietly cloister-site init --site "$hospital" --dir "$home/agent"
  cat >"$home/agent/site.yaml" <<EOF
site: $hospital
name: ${hospital^}
data: data
policy: policy.yaml
coordinator: 127.0.0.1:$(port coordinator)
certificates: certificates
tasks: $PWD/models/tasks
pacs:
  host: 127.0.0.1
  port: $(port "$hospital-pacs-dicom")
  ae_title: $(pacs_title "$hospital")
  retrieve: get
  viewer_link: "http://127.0.0.1:$(port "$hospital-pacs-http")/app/explorer.html#find-studies?AccessionNumber={case}"
dicom:
  ae_title: $(agent_title "$hospital")
  port: $(port "$hospital-agent-dicom")
labels:
  - task: chest_pneumonia
    file: $run/$hospital/images/labels.csv
worker:
  threads: 1
  memory: 6144
portal:
  port: $(port "$hospital-portal")
  users: portal-users
EOF
  cat >"$home/agent/policy.yaml" <<EOF
# What this hospital allows. Whatever is not named is refused.
allowed_tasks: [chest_pneumonia]
minimum_cohort: 20
minimum_sites: 3
secure_aggregation: required
approval: manual
share_local_baseline: sealed
serving: allowed
EOF
  quietly cloister-site enroll --config "$home/agent/site.yaml"
  issue "$home/agent/certificates/site.csr" "$home/agent/certificates.pem"
  quietly cloister-site enroll --config "$home/agent/site.yaml" --install "$home/agent/certificates.pem"
  printf '%s\n' "$password" | quietly cloister-site portal-user demo --config "$home/agent/site.yaml"
}

start_pacs() {
  local hospital=$1 log=$run/$1/pacs/log
  start "$hospital-pacs" "$log" Orthanc "$run/$hospital/pacs/orthanc.json"
  wait_for 30 "starting the PACS of $hospital" "$hospital-pacs" "$log" curl -sf "http://127.0.0.1:$(port "$hospital-pacs-http")/system"
}

store() {  # HOSPITAL FILE_OR_FOLDER: C-STORE into the hospital's PACS
  TCP_NODELAY=1 quietly storescu -R -aet LOADER -aec "$(pacs_title "$1")" +sd +r 127.0.0.1 "$(port "$1-pacs-dicom")" "$2"
}

load_pacs() {
  local hospital=$1 count
  if [[ ! -f $run/$hospital/pacs/loaded ]]; then
    store "$hospital" "$run/$hospital/images/dicom"
    touch "$run/$hospital/pacs/loaded"
  fi
  count=$(curl -s "http://127.0.0.1:$(port "$hospital-pacs-http")/statistics" | jq -r .CountStudies)
  printf '%-10s PACS %s, %s studies   portal http://127.0.0.1:%s/\n' "$hospital" "$(pacs_title "$hospital")" "$count" "$(port "$hospital-portal")"
}

site() {  # HOSPITAL COMMAND...
  local hospital=$1 command=$2
  shift 2
  cloister-site "$command" --config "$run/$hospital/agent/site.yaml" "$@"
}

start_site() {
  local hospital=$1
  start "$hospital" "$run/$hospital/agent/log" cloister-site run --config "$run/$hospital/agent/site.yaml"
}

# ---- the experiment ----

job=""

submit_experiment() {
  local file=$run/experiment.yaml hospital
  cp "$experiment" "$file"
  [[ -n $rounds ]] && sed -i -E "s/^( *rounds:) *[0-9]+/\1 $rounds/" "$file"
  for hospital in $hospitals; do
    wait_for 30 "$hospital reaching the coordinator" "$hospital" "$run/$hospital/agent/log" \
      sh -c "cloister --json --config '$run/operator/operator.yaml' site list | jq -e 'any(.[]; .site == \"$hospital\")'"
  done
  job=$(operator --json experiment submit "$file" --tasks models/tasks 2>"$run/operator/log" | jq -r .job) ||
    { cat "$run/operator/log" >&2; exit 1; }
  [[ -n $job && $job != null ]] || fail "the experiment was not accepted by the coordinator"
  echo "submitted as $job"
}

# Where a person at each hospital would read the plan and decide.
approve_everywhere() {
  local hospital
  for hospital in $hospitals; do
    wait_for 60 "the offer reaching $hospital" "$hospital" "$run/$hospital/agent/log" \
      sh -c "cloister-site experiments --config '$run/$hospital/agent/site.yaml' --json | jq -e 'any(.[]; .job == \"$job\")'"
    quietly site "$hospital" approve "$job" --name "Demonstration engineer" --yes
    echo "$hospital: approved by the demonstration engineer (cloister-site approve $job)"
  done
}

# Lines of progress from every agent and from the coordinator, until the experiment has ended.
follow_experiment() {
  local hospital watch_status=0
  for hospital in $hospitals; do
    (tail --pid=$$ -n 0 -F "$run/$hospital/agent/log" 2>/dev/null |
      grep --line-buffered -E 'round [0-9]+/|baseline|cohort|validation' |
      sed -u -E "s/^[^ ]+ [A-Z] [^ ]+ +/  /; s/^/$(printf '%-10s' "$hospital")/") &
    pid_of[$hospital-tail]=$!
  done
  operator experiment watch "$job" || watch_status=$?
  for hospital in $hospitals; do
    { pkill -P "${pid_of[$hospital-tail]}"; wait "${pid_of[$hospital-tail]}"; } 2>/dev/null || true
    unset "pid_of[$hospital-tail]"
  done
  ((watch_status == 0)) || fail "the experiment did not end in a release; see the lines above and $run/coordinator/log"
  release=$(operator --json experiment status "$job" | jq -r .release)
}

release_state() {  # HOSPITAL
  site "$1" releases --json | jq -r --arg release "$release" '.[] | select(.release == $release) | .state'
}

signed=()  # hospitals where the release was signed

# A hospital whose own gate the release does not pass does not use it, and nobody can sign it there.
sign_everywhere() {
  local hospital
  for hospital in $hospitals; do
    wait_for 300 "re-validation at $hospital" "$hospital" "$run/$hospital/agent/log" \
      sh -c "cloister-site releases --config '$run/$hospital/agent/site.yaml' --json | jq -e 'any(.[]; .release == \"$release\" and (.state == \"verified\" or .state == \"gate_failed\"))'"
    if [[ $(release_state "$hospital") == gate_failed ]]; then
      echo "$hospital: report written; not signed and not used here: $(site "$hospital" releases --json |
        jq -r --arg release "$release" '.[] | select(.release == $release) | .detail')"
      continue
    fi
    signed+=("$hospital")
    quietly site "$hospital" sign --release "$release" --name "Dr. Demonstration" --role "demonstration clinician" --decision accept
    echo "$hospital: report written, signed by the demonstration clinician (cloister-site sign --release $release)"
  done
  ((${#signed[@]} > 0)) || fail "the release passed no hospital's own gate, so nobody uses it; the reports say why"
  for hospital in "${signed[@]}"; do
    wait_for 30 "activation at $hospital" "$hospital" "$run/$hospital/agent/log" \
      sh -c "cloister-site releases --config '$run/$hospital/agent/site.yaml' --json | jq -e 'any(.[]; .release == \"$release\" and .state == \"active\")'"
  done
}

# ---- a new study ----

answer_new_study() {
  local hospital=${signed[0]} web film study before tags
  web=http://127.0.0.1:$(port "$hospital-pacs-http")
  film=$(find "$run/$hospital/images/new" -name '*.dcm' | sort | head -n 1)
  [[ -n $film ]] || fail "every held-out study has arrived already; start again with --fresh"
  before=$(date +%s%N)
  store "$hospital" "$film"
  mkdir -p "$run/$hospital/images/arrived"
  mv "$film" "$run/$hospital/images/arrived/"
  study=$(curl -s -X POST "$web/tools/find" -d "{\"Level\": \"Study\", \"Query\": {\"AccessionNumber\": \"$(basename "$film" .dcm)\"}}" | jq -r '.[0]')
  wait_for 60 "the answer" "$hospital" "$run/$hospital/agent/log" \
    sh -c "curl -s $web/studies/$study/series | jq -e '[.[].MainDicomTags.Modality] | (index(\"SR\") != null) and length >= 3'"
  printf 'accession %s into the PACS of %s; answered in the same study after %.1f s:\n' "$(basename "$film" .dcm)" "$hospital" \
    "$((($(date +%s%N) - before) / 100000000))e-1"
  curl -s "$web/studies/$study/series" |
    jq -r '.[] | "  \(.MainDicomTags.Modality)  \(.MainDicomTags.SeriesDescription // "")  \(.Instances | length) instance(s)"'
  echo "  $web/app/explorer.html#study?uuid=$study"
  echo "$study" >"$run/answered-study"
}

# ---- results ----

print_table() {
  local hospital
  printf '%-11s %9s %11s  %-22s %-22s %-18s %-18s\n' hospital patients prevalence "AUC local-only" "AUC federated" sensitivity specificity
  for hospital in $hospitals; do site "$hospital" report "$release" --row; done
}

print_places() {
  local hospital
  echo
  for hospital in $hospitals; do
    echo "$hospital: report $(site "$hospital" report "$release" --json | jq -r .report_html)"
    echo "$(printf '%*s' ${#hospital} '')  portal http://127.0.0.1:$(port "$hospital-portal")/  PACS http://127.0.0.1:$(port "$hospital-pacs-http")/"
  done
  echo "coordinator: status page http://127.0.0.1:$(port status)/"
  echo "The pages' user is 'demo', password '$password'."
}
