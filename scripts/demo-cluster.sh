#!/bin/sh
# Redis Cluster over user-space TCP: six hosts on one bridge, each a real redis-server behind a wiredis of its own. Creates
# the cluster, moves slots, kills a master's host, cuts another off the network, all under load, and counts what was lost.
# Its last line is 'demo-cluster: ...'; exit code 0 means that every promise was kept. Needs root.
#   scripts/demo-cluster.sh [--engine auto|afxdp|afpacket] [--short]
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/demo/common.sh"

engine=auto
slots=1000
while [ $# -gt 0 ]; do
  case $1 in
    --engine) engine=${2:?--engine wants a name}; shift ;;
    --short) slots=100 ;;
    *) echo "demo-cluster: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift
done
begin_demo cluster
address() { echo "10.77.3.$1"; }
all=10.77.3.1,10.77.3.2,10.77.3.3,10.77.3.4,10.77.3.5,10.77.3.6
ask() { host=$1; shift; client timeout 10 redis-cli -h "$(address "$host")" "$@"; }
cluster() { client timeout 120 redis-cli --cluster "$@"; }

start_node() {
  mkdir -p "$work/host$1"
  # What comes in (clients, replicas, the bus) comes by our stack; what redis-server opens itself goes the kernel's way.
  start_host "$1" --core relay --relay-forward '16379 tcp:127.0.0.1:16379' --relay-spawn "redis-server \
    --bind 127.0.0.1 --cluster-enabled yes --cluster-port 16379 --cluster-node-timeout 3000 --repl-diskless-sync-delay 0 \
    --cluster-announce-ip $(address "$1") --cluster-announce-port 6379 --cluster-announce-bus-port 16379 \
    --appendonly yes --save ''"
}

id_of() { ask "$1" CLUSTER MYID; }
role_of() { ask "$1" ROLE | head -n 1; }
# Whether the cluster is whole in the eyes of that host.
is_ok() { ask "$1" CLUSTER INFO | grep -q '^cluster_state:ok'; }
# A host that is a replica of the given one.
replica_of() {
  id=$(id_of "$1")
  ask "$1" CLUSTER NODES | awk -v id="$id" '$4 == id && $3 !~ /fail/ { split($2, at, "[.:]"); print at[4]; exit }'
}
agreed() { cluster check "$(address "$1"):6379" 2>&1 | grep -q 'All 16384 slots covered' && is_ok "$1"; }
links_up() {
  for one in $1; do
    case $(role_of "$one") in
      slave) ask "$one" INFO replication | grep -q '^master_link_status:up' || return 1 ;;
      master) ask "$one" INFO replication | grep -q '^connected_slaves:[1-9]' || return 1 ;;
      *) return 1 ;;
    esac
  done
}

title 'six hosts on one bridge, and a client'
wiredis lab up --name "$name" --hosts 6

title "on each: wiredis (engine $engine) with a real redis-server behind it"
for i in 1 2 3 4 5 6; do start_node "$i"; done
for i in 1 2 3 4 5 6; do eventually 60 "host$i answers" ask "$i" PING; done
grep -h -e 'User-space TCP/IP on' -e 'passed on to' "$work/host1.log"

title 'redis-cli --cluster create: three masters, three replicas'
# shellcheck disable=SC2046
cluster create $(for i in 1 2 3 4 5 6; do echo "$(address $i):6379"; done) --cluster-replicas 1 --cluster-yes |
  grep -e '^>>>' -e '^M:' -e '^S:' -e OK -e ERR
for i in 1 2 3 4 5 6; do eventually 60 "host$i sees the whole cluster" is_ok "$i"; done
eventually 60 'replicas follow' links_up '1 2 3 4 5 6'
cluster check "$(address 1):6379" | tail -n 4

title 'load from the client host: ioredis (half of the writers with WAIT 1), redis-py'
start_load ioredis node "$root/scripts/demo/cluster-load.js" "$all" 6379
start_load redis-py /usr/bin/python3 "$root/scripts/demo/load.py" cluster "$all" 6379
sleep 3

title "redis-cli --cluster reshard: $slots slots from host1 to host2, under load"
cluster reshard "$(address 1):6379" --cluster-from "$(id_of 1)" --cluster-to "$(id_of 2)" --cluster-slots "$slots" \
  --cluster-yes >"$work/reshard" || { tail -n 5 "$work/reshard"; exit 1; }
eventually 60 'the cluster agrees' agreed 1
ask 2 CLUSTER NODES | grep myself

successor=$(replica_of 1)
title "host1, a master, is killed with kill -9 (wiredis and redis-server); its replica is host$successor"
began=$(now_ms)
kill_host 1
until_master() { [ "$(role_of "$1")" = master ]; }
eventually 60 "host$successor is the master" until_master "$successor"
eventually 60 'all slots are served' is_ok "$successor"
echo "failover after $(($(now_ms) - began)) ms (cluster-node-timeout 3000)"
sleep 2
start_node 1
eventually 60 'host1 is back' ask 1 PING
until_replica() { [ "$(role_of "$1")" = slave ]; }
eventually 60 'host1 is a replica' until_replica 1
eventually 60 'host1 has caught up' links_up '1'

successor=$(replica_of 2)
title "host2, a master, is cut off the network (both cables); its replica is host$successor"
began=$(now_ms)
wiredis lab unplug --name "$name" host2
eventually 60 "host$successor is the master" until_master "$successor"
eventually 60 'all slots are served' is_ok "$successor"
echo "failover after $(($(now_ms) - began)) ms"
sleep 2
wiredis lab plug --name "$name" host2
eventually 60 'host2 is a replica' until_replica 2
eventually 60 'host2 has caught up' links_up '2'
eventually 60 'the cluster agrees' agreed 3

title 'the verdict'
stop_loads
cluster check "$(address 3):6379" | tail -n 4
echo "kernel sockets that listen on host3: $(wiredis lab exec --name "$name" host3 -- ss -Hltn | awk '{ print $4 }' | paste -sd ' ')"
for i in 1 3; do printf 'host%s: ' "$i"; wiredis_of "$i" netstat --relay | tail -n 1; done
verdict demo-cluster "Redis Cluster"
