#!/bin/sh
# usage: scripts/fuzz-frames.sh [FRAMES] [SEED]
# Sends the stack that many frames (10000000) that nobody should send; progress and seed on stderr, drops by reason at the
# end. Ends with 1 when anything throws, leaks or hangs; the same seed then fails again.
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
npx --no-install tsc -p test/fuzz/tsconfig.json
exec node dist/fuzz/test/fuzz/frames/run.js "$@"
