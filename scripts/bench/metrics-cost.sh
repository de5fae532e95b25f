#!/bin/sh
# usage: scripts/bench/metrics-cost.sh [PAIRS] [DIST]
# What a scrape each second costs: one server over AF_XDP in a lab, GETs of redis-benchmark, in turn while nobody asks its metrics port and
# while curl scrapes it (WIREDIS_SCRAPE_EVERY: other seconds); CPU time of the server's process by request (/proc/PID/schedstat), pipelines
# of 1 and 16. Servers differ by more than the cost, so both kinds are measured on the same one, in pairs: the figure is the median
# of the pairs' ratios. Needs root, and a quiet machine.
set -eu
. "$(dirname -- "$0")/../help.sh"
pairs=${1:-12}
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
start() {
  on server node "$dist/src/cli/wiredis-server.js" --netdev "/run/wiredis-lab/$name/netdev.conf" \
    --engine afxdp --bind 10.77.0.1 --protected-mode no --save '' --metrics-port "$port" >/dev/null 2>&1 &
  tries=0
  until [ "$(on client timeout 1 redis-cli -h 10.77.0.1 PING 2>/dev/null)" = PONG ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || exit 1
    sleep 0.2
  done
  pid=$(ip netns pids "$name-server" | while read -r one; do
    if [ "$(readlink "/proc/$one/exe")" = "$node" ]; then echo "$one"; fi
  done | head -n 1)
}
scrape() {
  while [ -e "$work/scraping" ]; do
    ip netns exec "$name-server" curl -sS -m 5 -o "$work/page" "http://127.0.0.1:$port/metrics" || true
    sleep "$every"
  done
}
# spent PIPELINE: sets `ns`, the processor time of a request
spent() {
  requests=$(($1 == 1 ? 200000 : 2000000))
  before=$(busy "$pid")
  load "$requests" "$1"
  ns=$((($(busy "$pid") - before) / requests))
}
# measure quiet|scraped PIPELINE
measure() {
  if [ "$1" = scraped ]; then
    : >"$work/scraping"
    scrape &
    scraper=$!
    spent "$2"
    rm "$work/scraping"
    wait "$scraper"
  else
    spent "$2"
  fi
  echo "$1 P=$2: $ns ns by request"
}
median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print (all[int((NR + 1) / 2)] + all[int(NR / 2) + 1]) / 2 }'; }
start
for depth in 1 16; do load $((depth * 100000)) "$depth"; done
pair=0
while [ "$pair" -lt "$pairs" ]; do
  pair=$((pair + 1))
  if [ $((pair % 2)) = 1 ]; then order='quiet scraped'; else order='scraped quiet'; fi
  for depth in 1 16; do
    for kind in $order; do
      measure "$kind" "$depth"
      eval "$kind=$ns"
    done
    echo "$quiet" >>"$work/quiet.$depth"
    awk "BEGIN { print ($scraped / $quiet - 1) * 100 }" >>"$work/more.$depth"
  done
done
kill -TERM "$pid"
for depth in 1 16; do
  printf 'P=%s: %s ns by request, %+.1f %% while scraped\n' "$depth" "$(median "$work/quiet.$depth")" "$(median "$work/more.$depth")"
done
grep '^wiredis_scrape_seconds ' "$work/page" || true
