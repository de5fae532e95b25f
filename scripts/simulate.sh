#!/bin/sh
# usage: scripts/simulate.sh [SEEDS] [FIRST]
# A night of simulations: SEEDS (100000) of the whole server with its clients (test/sim) and a tenth as many of two bare
# streams (test/unit/stack/tcp-chaos.test.ts) and of streams whose stacks take each other's place, from seed FIRST (the
# time of day) on, a thousand at a time. Every seed draws the network's faults and the options of each stack: IPv4 or
# IPv6, MTU, buffers, acknowledgement policy, timeouts, congestion control, ECN, clocks that jump. Progress on stdout;
# ends with 1, the failure and the line that replays it.
set -eu
. "$(dirname -- "$0")/help.sh"
seeds=${1:-100000}
first=${2:-$(date +%s)}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# what a batch is, then its command
batch() {
  what=$1
  shift
  if ! "$@" >"$log" 2>&1; then
    grep -E 'replay it with|CHAOS_SEED=|HANDOVER_SEED=|AssertionError|Error:' "$log" | sort -u | head -20
    echo "$what failed"
    exit 1
  fi
}

begin=$(date +%s)
done=0
while [ "$done" -lt "$seeds" ]; do
  count=$((seeds - done < 1000 ? seeds - done : 1000))
  seed=$((first + done))
  batch "server, seeds $seed to $((seed + count - 1))," env WIREDIS_SEEDS=$count WIREDIS_FIRST_SEED=$seed \
    npx --no-install vitest run --project sim
  batch "hand-overs between stacks, seeds $seed to $((seed + count / 10))," env HANDOVER_COUNT=$((count / 10 + 1)) \
    HANDOVER_FIRST=$seed npx --no-install vitest run --project unit test/unit/stack/stack-handover.test.ts
  batch "streams, seeds $seed to $((seed + count / 10))," env CHAOS_COUNT=$((count / 10 + 1)) CHAOS_FIRST=$seed \
    npx --no-install vitest run --project unit test/unit/stack/tcp-chaos.test.ts
  done=$((done + count))
  echo "$done of $seeds seeds, $(($(date +%s) - begin)) s; the next is $((first + done))"
done
