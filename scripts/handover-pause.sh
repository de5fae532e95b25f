#!/bin/sh
# usage: scripts/handover-pause.sh [GIB] [afxdp|afpacket] [CLIENTS]
# How long nobody is served while a server with GIB (1) of data is replaced by a new process, over an engine (afxdp), under
# CLIENTS (50) busy clients on another host of the lab (root). The dataset is 1,000-byte strings. Prints what
# 'wiredis upgrade' says, the longest wait of a client, the time it all took and the resident memory of both processes.
set -eu
. "$(dirname -- "$0")/help.sh"
cd "$(dirname -- "$0")/.."
gib=${1:-1}
engine=${2:-afxdp}
clients=${3:-50}
dist=${WIREDIS_DIST:-dist}
name=pause-$$
work=$(mktemp -d)
lab() { node "$dist/src/cli/wiredis.js" lab "$@"; }
on_server() { lab exec --name "$name" server -- "$@"; }
on_client() { lab exec --name "$name" client -- "$@"; }
trap 'lab down --name "$name" >/dev/null 2>&1; rm -rf "$work"' EXIT
lab up --name "$name" >/dev/null
on_server node "$dist/src/cli/wiredis-server.js" --netdev "/run/wiredis-lab/$name/netdev.conf" --engine "$engine" \
  --bind 10.77.0.1 --protected-mode no --save '' --dir "$work" --control-socket "$work/control" >"$work/log" 2>&1 &
tries=0
until on_client redis-cli -h 10.77.0.1 ping 2>/dev/null | grep -q PONG; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { cat "$work/log"; exit 1; }
  sleep 0.2
done
# DEBUG POPULATE would be quicker, and answers nobody meanwhile.
keys=$((gib * 1000000))
on_client redis-benchmark -h 10.77.0.1 -q -t set -n $((keys * 5 / 2)) -r "$keys" -d 1000 -P 32 -c 4 >/dev/null
on_client redis-cli -h 10.77.0.1 info memory | grep -E 'used_memory_human|used_memory_dataset:'
on_client redis-cli -h 10.77.0.1 info keyspace | grep db0
mkfifo "$work/fifo"
on_client node test/handover/clients.js 10.77.0.1 6379 "$clients" 4 <"$work/fifo" >"$work/clients" 2>&1 &
busy=$!
exec 9>"$work/fifo"
tries=0
until grep -q open "$work/clients"; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { cat "$work/clients"; exit 1; }
  sleep 0.1
done
sleep 2
echo >&9
began=$(date +%s)
node "$dist/src/cli/wiredis.js" upgrade --server "$work/control"
echo "it took $(($(date +%s) - began)) s"
sleep 2
exec 9>&-
wait "$busy" || true
echo "busy clients: $(tail -1 "$work/clients")"
on_client redis-cli -h 10.77.0.1 info keyspace | grep db0
grep -E 'taking over took|nobody was served' "$work/log"
