#!/bin/sh
# usage: scripts/bench/connections.sh [COUNT]
# What COUNT (100000) idle connections cost: first the stack alone, two of them in one process, then wiredis-server in
# the lab with clients on another host (needs root): RSS and V8's heap before and after, and PING in their midst.
set -eu
. "$(dirname -- "$0")/../help.sh"
count=${1:-100000}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
npm run --silent build
npx --no-install tsc -p test/support/tsconfig.json
node dist/support/test/support/idle-connections-run.js "$count"
WIREDIS_CONNECTIONS=$count exec npx --no-install vitest run --project lab test/lab/connections.test.ts
