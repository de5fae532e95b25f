#!/bin/sh
# usage: scripts/bench/dict.sh [KEYS]
# The keyspace's table alone: time and heap bytes by operation at a million keys, beside what the machine's memory allows; then
# KEYS (10000000) are filled in: time, memory by key, the longest pause.
set -eu
. "$(dirname -- "$0")/../help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
npx --no-install tsc -p test/support/tsconfig.json
exec node --expose-gc dist/support/test/support/dict-speed-run.js "$@"
