#!/bin/sh
# Runs Redis's own test suite against wiredis and compares it, name by name, with what redis-server 7.0.15 passes.
# The suite comes from Debian's source package; it is kept outside of the repository, in $WIREDIS_SUITE
# (default /var/tmp/wiredis-suite). Needs Debian or Ubuntu, and root only to install what is missing and for user space.
#   scripts/redis-suite.sh [--units type/list,scan] [--transport kernel|userspace [--engine auto|afxdp|...]]
#                          [--own-servers] [--core embedded|relay [--upstream unix|tcp]] [--server wiredis|redis]
#                          [--record] [--merge] [--port N] [--jobs 1] [--no-progress SECONDS] [--cap SECONDS] [--dist FOLDER]
#   --units        only these, and every failing test by name; without it all units run and docs/compatibility.md is written
#   --transport    userspace: the client runs in another network namespace, joined by a veth (wiredis lab)
#   --own-servers  the units that start their own servers, with ours in the place of src/redis-server
#   --core relay   with a redis-server behind ours (core relay), which has to pass as it does alone
#   --upstream tcp the relay reaches that redis-server by TCP, not by a socket file, where clients have no addresses
#   --server redis the redis-server that is installed, to see that the count is right
#   --record       with --own-servers --server redis: keeps its results as the reference, test/redis/own-servers.tsv
#   --merge        with --units: what they did takes its place in the latest whole run, and the document is written
#   --port         first of 500 ports to use (default 21000)
#   --no-progress  a unit is given up when no test ends for so long (default 120); --cap: or after so long in all (600)
#   --dist         a build to test, instead of one made from the sources here
# The runner's output of each unit is in $WIREDIS_SUITE/logs.
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=${WIREDIS_SUITE:-/var/tmp/wiredis-suite}
suite=redis-7.0.15

say() { printf 'redis-suite: %s\n' "$*"; }
fail() { printf 'redis-suite: %s\n' "$*" >&2; exit 2; }

dist=
for word in "$@"; do
  if [ "$dist" = next ]; then dist=$word; fi
  if [ "$word" = --dist ]; then dist=next; fi
done

need() {
  missing=
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
    shift 2
  done
  [ -n "$missing" ] || return 0
  [ "$(id -u)" -eq 0 ] || fail "missing:$missing - as root: apt-get install$missing"
  say "installing$missing"
  # RUNLEVEL=1 keeps invoke-rc.d from starting what it installs.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $missing >/dev/null
}

# With apt lists of our own, so that the machine's sources stay as they are.
fetch_suite() {
  [ ! -e "$cache/$suite/debian/patches/series" ] || return 0
  say "fetching the source package of redis into $cache"
  mkdir -p "$cache/lists/partial"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  cat >"$cache/src.list" <<LIST
deb-src [signed-by=$keyring] http://deb.debian.org/debian bookworm main
deb-src [signed-by=$keyring] http://deb.debian.org/debian-security bookworm-security main
LIST
  # shellcheck disable=SC2086
  (
    options="-qq -o Dir::Etc::sourcelist=$cache/src.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$cache/lists"
    # With Debian's patches: they bring tests for what they mend.
    cd "$cache" && rm -rf unpacked "$suite" &&
      apt-get $options update && apt-get $options source --download-only redis &&
      dpkg-source --no-check -x redis_7.0.15-*.dsc unpacked >/dev/null && mv unpacked "$suite"
  ) || fail 'the source package could not be fetched'
}

need tclsh tcl dpkg-source dpkg-dev redis-server redis-server redis-benchmark redis-tools
fetch_suite
[ -e "$root/node_modules" ] || "$root/scripts/setup.sh" --no-build

build=$cache/build-$(printf '%s' "$root" | cksum | cut -d ' ' -f 1)
mkdir -p "$build"
cp "$root/package.json" "$build/package.json"
ln -sfn "$root/node_modules" "$build/node_modules"
say "building in $build"
(cd "$root" && npx tsc -p test/redis/tsconfig.json --outDir "$build/dist") || fail 'the build failed'
[ -n "$dist" ] || set -- --dist "$build/dist" "$@"
exec node "$build/dist/test/redis/main.js" --root "$root" --cache "$cache" "$@"
