#!/bin/sh
# Redis Sentinel over user-space TCP: a wiredis master and two wiredis replicas (embedded core), each on a host of its own
# with a real redis-sentinel beside it. The master is killed, and the next one cut off the network, under load; what was lost is
# counted. Its last line is 'demo-sentinel: ...'; exit code 0 means that every promise was kept. Needs root.
#   scripts/demo-sentinel.sh [--engine auto|afxdp|afpacket]
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/scripts/demo/common.sh"

engine=auto
while [ $# -gt 0 ]; do
  case $1 in
    --engine) engine=${2:?--engine wants a name}; shift ;;
    *) echo "demo-sentinel: unknown option '$1'" >&2; exit 2 ;;
  esac
  shift
done
begin_demo sentinel
address() { echo "10.77.3.$1"; }
sentinels=10.77.3.101,10.77.3.102,10.77.3.103
ask() { host=$1; shift; client timeout 10 redis-cli -h "$(address "$host")" "$@"; }
ask_sentinel() { host=$1; shift; client timeout 10 redis-cli -h "10.77.3.10$host" -p 26379 "$@"; }
start_node() {
  number=$1
  shift
  # With a replica lost for long, a master that stands alone takes no writes: what it took would be lost.
  start_host "$number" --appendonly yes --save '' --repl-diskless-sync-delay 0 --min-replicas-to-write 1 \
    --min-replicas-max-lag 5 "$@"
}
start_sentinel() {
  mkdir -p "$work/sentinel$1"
  cat >"$work/sentinel$1/sentinel.conf" <<CONF
bind 10.77.3.10$1
port 26379
protected-mode no
dir $work/sentinel$1
sentinel monitor demo $(address 1) 6379 2
sentinel down-after-milliseconds demo 3000
sentinel failover-timeout demo 10000
CONF
  wiredis lab exec --name "$name" "host$1" -- redis-sentinel "$work/sentinel$1/sentinel.conf" >"$work/sentinel$1.log" 2>&1 &
}
role_of() { ask "$1" ROLE | head -n 1; }
link_is_up() { ask "$1" INFO replication | grep -q '^master_link_status:up'; }
knows_all() { ask_sentinel "$1" SENTINEL MASTER demo | paste -sd ' ' | grep -q 'num-slaves 2 num-other-sentinels 2'; }
named_by() { ask_sentinel "$1" SENTINEL GET-MASTER-ADDR-BY-NAME demo | head -n 1 | sed 's/.*\.//'; }
# Whether that sentinel names another host as the master, one that says so itself.
moved_from() { new=$(named_by "$2"); [ "$new" != "$1" ] && [ "$(role_of "$new")" = master ]; }
follows() { [ "$(role_of "$1")" = slave ] && link_is_up "$1"; }

title 'three hosts on one bridge, and a client'
wiredis lab up --name "$name" --hosts 3

title "on each: wiredis (engine $engine, its own core) and a redis-sentinel; host1 is the master"
start_node 1
for i in 2 3; do start_node "$i" --replicaof "$(address 1) 6379"; done
for i in 1 2 3; do eventually 60 "host$i answers" ask "$i" PING; done
for i in 2 3; do eventually 60 "host$i follows" link_is_up "$i"; done
for i in 1 2 3; do start_sentinel "$i"; done
for i in 1 2 3; do eventually 60 "sentinel $i knows all" knows_all "$i"; done
grep -h 'User-space TCP/IP on' "$work/host1.log"
echo "kernel sockets that listen on host1: $(wiredis lab exec --name "$name" host1 -- ss -Hltn | awk '{ print $4 }' | paste -sd ' ') (sentinel)"

title 'load from the client host: ioredis (half of the writers with WAIT 1), redis-py'
start_load ioredis node "$root/scripts/demo/sentinel-load.js" "$sentinels" 26379 demo
start_load redis-py /usr/bin/python3 "$root/scripts/demo/load.py" sentinel "$sentinels" 26379 demo
sleep 5

title 'host1, the master, is killed with kill -9'
began=$(now_ms)
kill_server 1
eventually 60 'another master' moved_from 1 1
new=$(named_by 1)
echo "failover to host$new after $(($(now_ms) - began)) ms (down-after-milliseconds 3000)"
sleep 3
start_node 1
eventually 60 'host1 follows' follows 1
old=$new
# A failover begins no sooner than twice failover-timeout after the last one.
sleep 12

title "host$old, the master now, is cut off the network (both cables)"
witness=1
began=$(now_ms)
wiredis lab unplug --name "$name" "host$old"
eventually 60 'another master' moved_from "$old" "$witness"
new=$(named_by "$witness")
echo "failover to host$new after $(($(now_ms) - began)) ms"
sleep 3
wiredis lab plug --name "$name" "host$old"
eventually 60 "host$old follows" follows "$old"

title 'the verdict'
stop_loads
for i in 1 2 3; do echo "host$i: $(ask "$i" ROLE | paste -sd ' ')"; done
verdict demo-sentinel 'asynchronous replication'
