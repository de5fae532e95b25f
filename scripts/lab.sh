#!/bin/sh
# Thin wrapper around `wiredis lab`: two hosts on this machine. See scripts/lab.sh --help.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if [ ! -e "$root/dist/src/cli/wiredis.js" ]; then
  echo "lab.sh: not built yet: run scripts/setup.sh first" >&2
  exit 1
fi
exec node "$root/dist/src/cli/wiredis.js" lab "$@"
