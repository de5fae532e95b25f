#!/bin/sh
# usage: scripts/handover.sh [TIMES]
# Replaces a running server by a new process TIMES (100) times in a row, over afxdp and then over afpacket, under 50 busy
# clients on another host of the lab (root). Every reply is checked byte for byte; a reset, a lost or a doubled reply ends
# it. Prints how long the pauses were, and the longest wait of a client.
set -eu
. "$(dirname -- "$0")/help.sh"
cd "$(dirname -- "$0")/.."
WIREDIS_HANDOVERS=${1:-100}
export WIREDIS_HANDOVERS
exec npx --no-install vitest run --project lab test/lab/handover.test.ts -t 'busy clients'
