#!/bin/sh
# usage: scripts/tool.sh TOOL [ARGUMENT...]
# `wiredis TOOL` of this clone.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if [ ! -e "$root/dist/src/cli/wiredis.js" ]; then
  echo "$1: not built yet: run scripts/setup.sh first" >&2
  exit 1
fi
exec node "$root/dist/src/cli/wiredis.js" "$@"
