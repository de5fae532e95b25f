#!/bin/sh
# usage: scripts/bench/snapshots.sh [ELEMENTS]
# How long a save in the background holds others up: ELEMENTS (1000000) keys, a hash, set, sorted set, list and stream of as
# many, lists, hashes and strings of 1 MiB elements (one for 4096), strings of 100 KiB, and elements of 16 MiB (one for
# 65536) are saved while commands write to them; the longest piece of work of the save, and the longest command.
set -eu
. "$(dirname -- "$0")/../help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
npx --no-install tsc -p test/support/tsconfig.json
exec node dist/support/test/support/snapshot-slices-run.js "$@"
