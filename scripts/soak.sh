#!/bin/sh
# A mixed load for a long time: expiry, eviction, BGSAVE, AOF rewrites, subscribers, blocked clients, slow readers and clients
# that die. Fails when memory (arena, V8's heap, resident) grows after the warm-up, on any error, and when somebody stays;
# prints what was done and how long single commands took.
#   scripts/soak.sh [MINUTES] [--transport kernel|userspace]      (default 20, kernel; userspace needs what the lab needs)
set -eu
. "$(dirname -- "$0")/long-test.sh"
WIREDIS_SOAK_SECONDS=$((${first:-20} * 60))
export WIREDIS_SOAK_SECONDS
run_test soak
