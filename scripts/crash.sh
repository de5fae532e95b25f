#!/bin/sh
# Kills wiredis-server with SIGKILL while clients write, mostly with `appendfsync always`, and verifies after each restart that
# no acknowledged write is lost; then has clients fill small disks, one for each five rounds, and looks for the same (needs root).
#   scripts/crash.sh [ROUNDS] [SEED] [--transport kernel|userspace]
#                                      (default 500 1, kernel; userspace needs what the lab needs)
set -eu
. "$(dirname -- "$0")/long-test.sh"
WIREDIS_CRASH_ROUNDS=${first:-500}
WIREDIS_CRASH_SEED=${second:-1}
export WIREDIS_CRASH_ROUNDS WIREDIS_CRASH_SEED
run_test crash
