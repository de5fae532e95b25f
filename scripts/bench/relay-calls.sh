#!/bin/sh
# usage: scripts/bench/relay-calls.sh [DIST...]
# What a request costs the relay's thread, by build: GETs of redis-benchmark through `core relay` over AF_XDP in a lab, three rounds,
# builds (dist) in turn; nanoseconds of CPU time a request (/proc/PID/schedstat), pipelines of 1 and 16. Needs root.
set -eu
. "$(dirname -- "$0")/../help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/scripts/bench/lab-server.sh"
begin_lab relay-calls "${1:-$root/dist}"
[ $# -gt 0 ] || set -- "$dist"
measure() {
  start_server "$1" --core relay --relay-spawn "redis-server --save ''"
  for depth in 1 16; do
    requests=$((depth == 1 ? 40000 : 300000))
    gets "$requests" "$depth"
    before=$(thread_ns)
    gets "$requests" "$depth"
    echo "$1 P=$depth $((($(thread_ns) - before) / requests)) ns"
  done
  stop_server
}
for round in 1 2 3; do
  echo "round $round"
  for one in "$@"; do measure "$one"; done
done
