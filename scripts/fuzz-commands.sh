#!/bin/sh
# usage: scripts/fuzz-commands.sh [COMMANDS] [SEED]
#        scripts/fuzz-commands.sh --round SEED COMMANDS
# Sends that many commands (1000000), valid and invalid, to redis-server 7.0 and to wiredis, and compares replies, keyspace
# events and values. Progress on stderr; each kind of difference is shrunk and printed with the line that plays it again
# (the second form). Ends with 1 when there is any. Needs redis-server 7.0 and cc.
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
npx --no-install tsc -p test/fuzz/tsconfig.json
exec node dist/fuzz/test/fuzz/differential/run.js "$@"
