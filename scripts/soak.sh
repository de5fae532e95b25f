#!/bin/sh
# A mixed load for a long time: expiry, eviction, BGSAVE, AOF rewrites, subscribers, blocked clients, slow readers and clients
# that die. Fails when memory (arena, V8's heap, resident) grows after the warm-up, on any error, and when somebody stays;
# prints what was done and how long single commands took.
#   scripts/soak.sh [MINUTES] [--transport kernel|userspace]      (default 20, kernel; userspace needs what the lab needs)
set -eu
cd "$(dirname -- "$0")/.."
minutes=20
transport=kernel
while [ $# -gt 0 ]; do
  case $1 in
    --transport) transport=${2:?}; shift 2 ;;
    --help | -h) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) minutes=$1; shift ;;
  esac
done
WIREDIS_SOAK_SECONDS=$((minutes * 60))
export WIREDIS_SOAK_SECONDS
case $transport in
  kernel) exec npx --no-install vitest run --project contract test/soak/soak.test.ts ;;
  userspace)
    scripts/setup.sh
    exec npx --no-install vitest run --project lab test/lab/soak.test.ts
    ;;
  *) echo "soak: no transport '$transport'" >&2; exit 1 ;;
esac
