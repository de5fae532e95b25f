#!/bin/sh
# Kills wiredis-server with SIGKILL while clients write with `appendfsync always`, and verifies after each restart that
# no acknowledged write is lost; then the same on disks that fill up.
#   scripts/crash.sh [ROUNDS] [SEED]      (default 500 1)
set -eu
cd "$(dirname -- "$0")/.."
WIREDIS_CRASH_ROUNDS=${1:-500} WIREDIS_CRASH_SEED=${2:-1} exec npx vitest run --project contract test/crash/crash.test.ts
