#!/bin/sh
# usage: scripts/bench/metrics-cost.sh [PAIRS] [DIST]
# What a scrape each second costs: one server over AF_XDP in a lab, GETs of redis-benchmark, in turn while nobody asks its metrics port and
# while curl scrapes it (WIREDIS_SCRAPE_EVERY: other seconds); CPU time of the server's process by request (/proc/PID/schedstat), pipelines
# of 1 and 16. Servers differ by more than the cost, so both kinds are measured on the same one, in PAIRS (12) pairs: the figure is the
# median of the pairs' ratios. DIST is the build (dist). Needs root, and a quiet machine.
set -eu
. "$(dirname -- "$0")/../help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
. "$root/scripts/bench/lab-server.sh"
pairs=${1:-12}
every=${WIREDIS_SCRAPE_EVERY:-1}
port=9121
begin_lab metrics-cost "${2:-$root/dist}"
scrape() {
  while [ -e "$work/scraping" ]; do
    ip netns exec "$name-server" curl -sS -m 5 -o "$work/page" "http://127.0.0.1:$port/metrics" || true
    sleep "$every"
  done
}
# spent PIPELINE: sets `ns`, the processor time of a request
spent() {
  requests=$(($1 == 1 ? 200000 : 2000000))
  before=$(process_ns)
  gets "$requests" "$1"
  ns=$((($(process_ns) - before) / requests))
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
# middle FILE: between which values half of them lie
middle() { sort -n "$1" | awk '{ all[NR] = $1 } END { printf "%+.1f to %+.1f", all[int((NR + 3) / 4)], all[NR + 1 - int((NR + 3) / 4)] }'; }
median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print (all[int((NR + 1) / 2)] + all[int(NR / 2) + 1]) / 2 }'; }
start_server "$dist" --save '' --metrics-port "$port"
for depth in 1 16; do gets $((depth * 100000)) "$depth"; done
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
stop_server
for depth in 1 16; do
  printf 'P=%s: %s ns by request, %+.1f %% while scraped (half of the pairs: %s)\n' "$depth" \
    "$(median "$work/quiet.$depth")" "$(median "$work/more.$depth")" "$(middle "$work/more.$depth")"
done
grep '^wiredis_scrape_seconds ' "$work/page" || true
