#!/bin/sh
# From a fresh clone to redis-cli on another host, without a kernel socket in between: set-up, two hosts on
# this machine, a server on the user-space transport, a session, a short benchmark, clean-up.
#   scripts/quickstart.sh [--engine auto|afxdp|afpacket|pcap|tap]
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

engine=auto
case "${1:-}" in
  '') ;;
  --engine) engine=${2:?--engine wants a name} ;;
  *) echo "quickstart: unknown option '$1'" >&2; exit 2 ;;
esac

"$root/scripts/setup.sh"

name=wiredis-quick-$$
work=$(mktemp -d)
server=
wiredis() { node "$root/dist/src/cli/wiredis.js" "$@"; }
client() { wiredis lab exec --name "$name" client -- "$@"; }
title() { printf '\n== %s\n' "$*"; }

clean_up() {
  code=$?
  trap - EXIT INT TERM
  title 'clean-up'
  if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  wiredis lab down --name "$name" || code=1
  rm -rf "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title 'two hosts on this machine'
wiredis lab up --name "$name" | tee "$work/lab"

link=0
file=$(sed -n 's/^lab: netdev.conf for a server here: //p' "$work/lab")
if [ "$engine" = tap ]; then link=2; file=${file%netdev.conf}netdev-tap.conf; fi
address=10.77.$link.1

title "server: wiredis-server on the user-space transport, engine $engine, address $address"
cd "$work"
node "$root/dist/src/cli/wiredis.js" lab exec --name "$name" server -- \
  "$(command -v node)" "$root/dist/src/cli/wiredis-server.js" --transport userspace --netdev "$file" \
  --engine "$engine" --bind "$address" --port 6379 --protected-mode no --dir "$work" >"$work/server.log" 2>&1 &
server=$!
tries=0
until [ "$(client timeout 1 redis-cli -h "$address" PING 2>/dev/null || true)" = PONG ]; do
  tries=$((tries + 1))
  if [ "$tries" -ge 20 ] || ! kill -0 "$server" 2>/dev/null; then
    echo 'quickstart: the server does not answer; it said:' >&2
    cat "$work/server.log" >&2
    exit 1
  fi
  sleep 0.2
done
tail -n 5 "$work/server.log"
echo "kernel sockets that listen on the server's host: $(wiredis lab exec --name "$name" server -- ss -Hltn | wc -l)"

title "from the other host: ping $address"
client ping -n -c 3 -i 0.2 "$address"

title 'from the other host: redis-cli'
while IFS= read -r line; do
  printf '%s> %s\n' "$address:6379" "$line"
  printf '%s\n' "$line" | client redis-cli --no-raw -h "$address" >"$work/reply"
  case $line in
    'CONFIG GET *' | INFO) # long: a glimpse is enough
      head -n 6 "$work/reply"
      echo "... $(($(wc -l <"$work/reply") - 6)) more lines"
      ;;
    *) cat "$work/reply" ;;
  esac
done <"$root/scripts/session.txt"

title 'SIGTERM to the server'
kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
tail -n 3 "$work/server.log"
ls -l "$work"/*.rdb
echo "exit code: $code"
[ "$code" -eq 0 ]

title 'redis-benchmark, short: redis-server, and wiredis over the kernel and from the wire'
wiredis bench --lab "$name" --quick --paths "redis,kernel,$engine" --output "$work"
