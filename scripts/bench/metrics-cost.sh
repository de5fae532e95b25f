#!/bin/sh
# usage: scripts/bench/metrics-cost.sh [ROUNDS] [DIST]
# What the metrics port costs: GETs of redis-benchmark over AF_XDP in a lab, in turn to servers without a metrics port, with one that nobody asks,
# and with one that curl scrapes each second (WIREDIS_SCRAPE_EVERY: other seconds); CPU time of the server's process by request
# (/proc/PID/schedstat), pipelines of 1 and 16, and at the end the medians. Needs root.
set -eu
rounds=${1:-6}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
dist=${2:-$root/dist}
every=${WIREDIS_SCRAPE_EVERY:-1}
name=metrics-cost-$$
port=9121
work=$(mktemp -d)
node=$(node -p process.execPath)
wiredis() { node "$dist/src/cli/wiredis.js" "$@"; }
on() {
  host=$1
  shift
  wiredis lab exec --name "$name" "$host" -- "$@"
}
end() {
  wiredis lab down --name "$name" >/dev/null
  rm -rf "$work"
}
trap end EXIT
wiredis lab up --name "$name" >/dev/null
busy() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }
load() { on client redis-benchmark -h 10.77.0.1 -n "$1" -c 50 -P "$2" -t get -q >/dev/null 2>&1; }
# measure without|quiet|scraped
measure() {
  metrics=$([ "$1" = without ] && echo 0 || echo "$port")
  on server node "$dist/src/cli/wiredis-server.js" --netdev "/run/wiredis-lab/$name/netdev.conf" \
    --engine afxdp --bind 10.77.0.1 --protected-mode no --save '' --metrics-port "$metrics" >/dev/null 2>&1 &
  tool=$!
  tries=0
  until [ "$(on client timeout 1 redis-cli -h 10.77.0.1 PING 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || exit 1
    sleep 0.2
  done
  pid=$(ip netns pids "$name-server" | while read -r one; do
    if [ "$(readlink "/proc/$one/exe")" = "$node" ]; then echo "$one"; fi
  done | head -n 1)
  : >"$work/scraping"
  if [ "$1" = scraped ]; then
    while [ -e "$work/scraping" ]; do
      ip netns exec "$name-server" curl -sS -m 5 -o "$work/page" "http://127.0.0.1:$port/metrics" || true
      sleep "$every"
    done &
    scraper=$!
  fi
  load 50000 1
  load 500000 16
  for depth in 1 16; do
    requests=$((depth == 1 ? 150000 : 1500000))
    before=$(busy "$pid")
    load "$requests" "$depth"
    echo "$((($(busy "$pid") - before) / requests))" | tee -a "$work/$1.$depth" | sed "s/.*/$1 P=$depth: & ns by request/"
  done
  rm "$work/scraping"
  [ "$1" != scraped ] || wait "$scraper"
  kill -TERM "$pid"
  wait "$tool" || true
  tries=0
  while [ -n "$(ip netns pids "$name-server")" ] && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.2; done
}
median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print (all[int((NR + 1) / 2)] + all[int(NR / 2) + 1]) / 2 }'; }
round=0
while [ "$round" -lt "$rounds" ]; do
  round=$((round + 1))
  if [ $((round % 2)) = 1 ]; then order='without quiet scraped'; else order='scraped quiet without'; fi
  for kind in $order; do measure "$kind"; done
done
for depth in 1 16; do
  without=$(median "$work/without.$depth")
  for kind in quiet scraped; do
    with=$(median "$work/$kind.$depth")
    more=$(awk "BEGIN { printf \"%+.1f\", ($with / $without - 1) * 100 }")
    echo "P=$depth: $without ns without a metrics port, $with ns with one ($kind): $more %"
  done
done
grep '^wiredis_scrape_seconds ' "$work/page" || true
