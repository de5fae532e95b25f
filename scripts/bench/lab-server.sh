# Sourced by what measures a server of ours in a lab (root): a lab of its own, GETs from the other host, and the processor time of the
# server's process. `begin_lab NAME DIST` comes first.
node=$(node -p process.execPath)
wiredis() { node "$dist/src/cli/wiredis.js" "$@"; }
on() {
  host=$1
  shift
  wiredis lab exec --name "$name" "$host" -- "$@"
}

# begin_lab NAME DIST: both hosts, by the tools of that build; they are gone when the script ends.
begin_lab() {
  [ "$(id -u)" -eq 0 ] || { echo "$1: needs root: two network namespaces joined by veth" >&2; exit 1; }
  dist=$2
  [ -e "$dist/src/cli/wiredis.js" ] || { echo "$1: no build in $dist: run scripts/setup.sh first" >&2; exit 1; }
  name=$1-$$
  work=$(mktemp -d)
  trap end_lab EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  wiredis lab up --name "$name" >/dev/null
}

end_lab() {
  code=$?
  trap - EXIT INT TERM
  wiredis lab down --name "$name" >/dev/null || code=1
  rm -rf "$work"
  exit "$code"
}

# start_server DIST DIRECTIVE...: over AF_XDP, at 10.77.0.1. Sets `pid`, the server's process.
start_server() {
  build=$1
  shift
  on server node "$build/src/cli/wiredis-server.js" --netdev "/run/wiredis-lab/$name/netdev.conf" --engine afxdp \
    --bind 10.77.0.1 --protected-mode no "$@" >"$work/server.log" 2>&1 &
  tool=$!
  tries=0
  until [ "$(on client timeout 1 redis-cli -h 10.77.0.1 PING 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ] || ! kill -0 "$tool" 2>/dev/null; then
      echo "the server does not answer; it said:" >&2
      tail -n 15 "$work/server.log" >&2
      exit 1
    fi
    sleep 0.2
  done
  # Its title is the server's own, its program is Node.
  pid=$(ip netns pids "$name-server" | while read -r one; do
    if [ "$(readlink "/proc/$one/exe")" = "$node" ]; then echo "$one"; fi
  done | head -n 1)
}

stop_server() {
  kill -TERM "$pid"
  wait "$tool" || true
  tries=0
  while [ -n "$(ip netns pids "$name-server")" ] && [ "$tries" -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.2
  done
}

# gets REQUESTS PIPELINE: of redis-benchmark on the other host.
gets() { on client redis-benchmark -h 10.77.0.1 -n "$1" -c 50 -P "$2" -t get -q >/dev/null 2>&1; }

# process_ns: processor time of the server's threads; thread_ns: of its main thread.
process_ns() { cat /proc/"$pid"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }
thread_ns() { cut -d ' ' -f 1 "/proc/$pid/schedstat"; }
