#!/bin/sh
# Kills wiredis-server with SIGKILL while clients write with `appendfsync always`, and verifies after each restart that
# no acknowledged write is lost; over the kernel's sockets then the same on disks that fill up.
#   scripts/crash.sh [ROUNDS] [SEED] [--transport kernel|userspace]
#                                      (default 500 1, kernel; userspace needs what the lab needs)
set -eu
cd "$(dirname -- "$0")/.."
rounds=
seed=
transport=kernel
while [ $# -gt 0 ]; do
  case $1 in
    --transport) transport=${2:?}; shift 2 ;;
    --help | -h) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) if [ -z "$rounds" ]; then rounds=$1; else seed=$1; fi; shift ;;
  esac
done
WIREDIS_CRASH_ROUNDS=${rounds:-500}
WIREDIS_CRASH_SEED=${seed:-1}
export WIREDIS_CRASH_ROUNDS WIREDIS_CRASH_SEED
case $transport in
  kernel) exec npx --no-install vitest run --project contract test/crash/crash.test.ts ;;
  userspace)
    scripts/setup.sh
    exec npx --no-install vitest run --project lab test/lab/crash.test.ts
    ;;
  *) echo "crash: no transport '$transport'" >&2; exit 1 ;;
esac
