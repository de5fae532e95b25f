# What the demonstrations share: a lab, servers and load in it, waiting with a bound, and clean-up. To be sourced; `root`
# is the repository, and `engine` what servers run over. WIREDIS_DIST: a build in another folder.

# redis-cli paints otherwise.
export TERM=dumb
dist=${WIREDIS_DIST:-$root/dist}
node=$(node -p process.execPath)
wiredis() { node "$dist/src/cli/wiredis.js" "$@"; }
client() { wiredis lab exec --name "$name" client -- "$@"; }
title() { printf '\n== %s\n' "$*"; }
now_ms() { date +%s%3N; }

# begin_demo NAME: builds what is missing and makes a place.
begin_demo() {
  [ "$(id -u)" -eq 0 ] || { echo "demo-$1: needs root: several network namespaces joined by a bridge" >&2; exit 1; }
  [ -n "${WIREDIS_DIST:-}" ] || "$root/scripts/setup.sh"
  name=wiredis-$1-$$
  work=$(mktemp -d)
  trap end_demo EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

end_demo() {
  code=$?
  trap - EXIT INT TERM
  title 'clean-up'
  if [ "$code" -ne 0 ]; then tail -n 15 "$work"/*.log "$work"/*.err 2>/dev/null || true; fi
  wiredis lab down --name "$name" | tail -n 1 || code=1
  rm -rf "$work"
  exit "$code"
}

# eventually SECONDS WHAT COMMAND...: until it succeeds and says something, or nothing at all but succeeds.
eventually() {
  limit=$(($(date +%s) + $1)); what=$2
  shift 2
  until "$@" >"$work/probe" 2>&1; do
    if [ "$(date +%s)" -ge "$limit" ]; then
      echo "waited in vain: $what" >&2
      cat "$work/probe" >&2
      exit 1
    fi
    sleep 0.1
  done
}

# start_host N DIRECTIVE...: a wiredis-server on that host, with its address; its words go to hostN.log.
start_host() {
  number=$1
  shift
  mkdir -p "$work/host$number"
  node "$dist/src/cli/wiredis.js" lab exec --name "$name" "host$number" -- "$(command -v node)" \
    "$dist/src/cli/wiredis-server.js" --netdev "/run/wiredis-lab/$name/netdev-host$number.conf" --engine "$engine" \
    --bind "10.77.3.$number" --protected-mode no --dir "$work/host$number" "$@" >>"$work/host$number.log" 2>&1 &
}

host_pids() { ip netns pids "$name-host$1"; }

# Everything on that host at once, as when the power fails.
kill_host() {
  # shellcheck disable=SC2046
  kill -KILL $(host_pids "$1")
}

# The pid of wiredis-server on that host: its title is the server's own, its program is Node.
server_pid() {
  for pid in $(host_pids "$1"); do
    if [ "$(readlink "/proc/$pid/exe")" = "$node" ]; then echo "$pid"; fi
  done
}

kill_server() { kill -KILL "$(server_pid "$1")"; }

# wiredis_of N TOOL...: a tool that asks the server on that host.
wiredis_of() {
  pid=$(server_pid "$1")
  shift
  wiredis "$@" --server "$pid"
}

loads=
# start_load NAME COMMAND...: on the client's host, until `stop_loads`; its last line goes to NAME.out.
start_load() {
  load=$1
  shift
  node "$dist/src/cli/wiredis.js" lab exec --name "$name" client -- "$@" >"$work/$load.out" 2>"$work/$load.err" &
  loads="$loads $load:$!"
}

# Tells them to count, and shows what they found.
stop_loads() {
  for load in $loads; do kill -TERM "${load#*:}" 2>/dev/null || true; done
  for load in $loads; do
    wait "${load#*:}" || { echo "the load ${load%%:*} failed" >&2; exit 1; }
    cat "$work/${load%%:*}.out"
  done
}

# verdict SCRIPT WHO: how many acknowledged writes are gone; fails when a confirmed one is.
verdict() {
  # shellcheck disable=SC2016
  node -e '
    const [script, who, ...files] = process.argv.slice(1);
    const loads = files.map((file) => JSON.parse(require("fs").readFileSync(file, "utf8")));
    const total = (field) => loads.reduce((sum, load) => sum + (load[field] ?? 0), 0);
    const counts = `${total("lost")} of ${total("acknowledged")} acknowledged writes lost (${who} promises none only when WAIT has confirmed it)`;
    console.log(`${script}: ${counts}, ${total("lostConfirmed")} of ${total("confirmed")} confirmed ones`);
    process.exit(total("lostConfirmed") === 0 ? 0 : 1);
  ' "$1" "$2" "$work"/*.out
}
