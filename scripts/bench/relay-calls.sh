#!/bin/sh
# usage: scripts/bench/relay-calls.sh DIST [DIST...]
# What a request costs the relay's thread, by build: GETs of redis-benchmark through `core relay` over AF_XDP in a lab, three rounds,
# builds in turn; nanoseconds of CPU time a request (/proc/PID/schedstat), pipelines of 1 and 16. Needs root.
set -eu
. "$(dirname -- "$0")/../help.sh"
name=relay-calls-$$
first=$1
node=$(node -p process.execPath)
wiredis() { node "$first/src/cli/wiredis.js" "$@"; }
trap 'wiredis lab down --name "$name" >/dev/null' EXIT
wiredis lab up --name "$name" >/dev/null
busy() { cut -d ' ' -f 1 "/proc/$1/schedstat"; }
load() { wiredis lab exec --name "$name" client -- redis-benchmark -h 10.77.0.1 -n "$1" -c 50 -P "$2" -t get -q >/dev/null 2>&1; }
measure() {
  wiredis lab exec --name "$name" server -- node "$1/src/cli/wiredis-server.js" --netdev "/run/wiredis-lab/$name/netdev.conf" \
    --engine afxdp --bind 10.77.0.1 --protected-mode no --core relay --relay-spawn "redis-server --save ''" >/dev/null 2>&1 &
  tool=$!
  tries=0
  until [ "$(wiredis lab exec --name "$name" client -- timeout 1 redis-cli -h 10.77.0.1 PING 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || exit 1
    sleep 0.2
  done
  pid=$(ip netns pids "$name-server" | while read -r one; do
    if [ "$(readlink "/proc/$one/exe")" = "$node" ]; then echo "$one"; fi
  done | head -n 1)
  for depth in 1 16; do
    requests=$((depth == 1 ? 40000 : 300000))
    load "$requests" "$depth"
    before=$(busy "$pid")
    load "$requests" "$depth"
    echo "$1 P=$depth $((($(busy "$pid") - before) / requests)) ns"
  done
  kill -TERM "$pid"
  wait "$tool" || true
  tries=0
  while [ -n "$(ip netns pids "$name-server")" ] && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.2; done
}
for round in 1 2 3; do
  echo "round $round"
  for dist in "$@"; do measure "$dist"; done
done
