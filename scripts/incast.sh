#!/bin/sh
# usage: scripts/incast.sh
# One client asks ten to a hundred servers at once, through a switch with a bounded queue at each port (test/sim/incast.ts): the
# table of docs/scaling.md. Virtual time and one seed, so every machine prints the same figures. A minute or two.
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
NO_COLOR=1 WIREDIS_INCAST=1 npx vitest run --project sim test/sim/incast.test.ts -t 'the table of docs/scaling.md' 2>&1 |
  sed -n '/^| /p; /^|--/p; /AssertionError/p; / failed/p'
