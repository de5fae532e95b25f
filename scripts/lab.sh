#!/bin/sh
# Thin wrapper around `wiredis lab`: two hosts on this machine. See scripts/lab.sh --help.
exec "$(dirname -- "$0")/tool.sh" lab "$@"
