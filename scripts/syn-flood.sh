#!/bin/sh
# usage: scripts/syn-flood.sh [--rate N] [--rounds N] [--clients N]
# What a SYN flood costs clients that are connected, over AF_XDP in a lab of its own, beside its control: the same flood
# against the same interface with an XDP program that drops every frame of it at once, in alternating rounds
# (test/lab/syn-flood-control.test.ts). N SYNs a second (0, the default: all that the flooder can make) in 5 rounds with 4
# clients, half a minute each. Prints each round and the row of docs/security.md: the share of their throughput that
# clients keep here and there, and the quotient, which should be 0.9 or more. Needs root, two cores and a quiet machine.
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
rate=0 rounds=5 clients=4
while [ $# -gt 0 ]; do
  case $1 in
    --rate) rate=${2:?} ;;
    --rounds) rounds=${2:?} ;;
    --clients) clients=${2:?} ;;
    *) echo "syn-flood: no option '$1': see --help" >&2; exit 1 ;;
  esac
  shift 2
done
cd "$root"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
NO_COLOR=1 WIREDIS_FLOOD_ROUNDS=$rounds WIREDIS_FLOOD_RATE=$rate WIREDIS_FLOOD_CLIENTS=$clients \
  npx --no-install vitest run --project lab test/lab/syn-flood-control.test.ts >"$log" 2>&1 || code=$?
grep -E '^(round |\| )|AssertionError|Error:|skipped: ' "$log" || code=1
exit $code
