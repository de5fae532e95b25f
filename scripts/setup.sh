#!/bin/sh
# Makes a fresh clone ready on Debian or Ubuntu: apt packages only where something is missing, npm packages when
# the lock file is newer, a build when a source is newer. Says what it does; does nothing the second time.
#   scripts/setup.sh [--tests] [--no-build]     --tests: what only tests need too
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

build=yes tests=no
for option in "$@"; do
  case $option in
    --no-build) build=no ;;
    --tests) tests=yes ;;
    *) fail "unknown option '$option'; there are --tests and --no-build" ;;
  esac
done

check_node() {
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || fail 'Node.js >= 20.19 with npm is needed: https://nodejs.org'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Node.js >= 20.19 is needed, this is $(node --version)"
}

# A program or a file, and the package that has it.
needed() {
  cat <<LIST
redis-server redis-server
redis-benchmark redis-tools
ip iproute2
ss iproute2
ping iputils-ping
ethtool ethtool
taskset util-linux
/usr/include/pcap/pcap.h libpcap-dev
python3 python3
make make
g++ g++
LIST
  [ "$tests" = yes ] || return 0
  cat <<LIST
redis-sentinel redis-sentinel
openssl openssl
script bsdutils
tcpdump tcpdump
tshark tshark
nft nftables
iptables iptables
nmap nmap
hping3 hping3
dnsmasq dnsmasq-base
curl curl
nc netcat-openbsd
strace strace
zsh zsh
fish fish
setcap libcap2-bin
/usr/include/hiredis/hiredis.h libhiredis-dev
/usr/lib/python3/dist-packages/redis/__init__.py python3-redis
LIST
  # Any of them will do for the web page.
  for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null 2>&1; then return 0; fi
  done
  echo chromium chromium
}

missing_packages() {
  needed | while read -r what package; do
    case $what in
      /*) [ -e "$what" ] || printf '%s\n' "$package" ;;
      *) command -v "$what" >/dev/null 2>&1 || printf '%s\n' "$package" ;;
    esac
  done | sort -u
}

install_packages() {
  packages=$(missing_packages | tr '\n' ' ')
  [ -n "$packages" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    say "missing: ${packages}- run as root: apt-get install $packages"
    return 0
  fi
  command -v apt-get >/dev/null 2>&1 || fail "missing: ${packages}- no apt-get here, install them your system's way"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null
  packages=$(without_unknown "$packages")
  [ -n "$packages" ] || return 0
  say "installing $packages"
  # RUNLEVEL=1 keeps invoke-rc.d from starting what it installs.
  # shellcheck disable=SC2086
  RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $packages >/dev/null
  for service in redis-server redis-sentinel; do
    case " $packages" in *" $service "*) stop_new "$service" ;; esac
  done
}

# Some tests are skipped without these, and not every distribution has them.
without_unknown() {
  for package in $1; do
    case $package in
      nmap | hping3 | chromium | zsh | fish)
        if ! apt-cache show "$package" >/dev/null 2>&1; then
          say "apt has no $package: the tests that need it are skipped" >&2
          continue
        fi
        ;;
    esac
    printf '%s ' "$package"
  done
}

# Only after we installed it: what was here before is somebody's.
stop_new() {
  if [ -d /run/systemd/system ]; then
    systemctl disable --now "$1" >/dev/null 2>&1 || true
  else
    service "$1" stop >/dev/null 2>&1 || true
    update-rc.d "$1" disable >/dev/null 2>&1 || true
  fi
  say "$1 is installed and not left running"
}

# For the test of the alert rules. The program alone, for this user: Debian's package would bring a server that starts.
fetch_promtool() {
  place=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/wiredis/bin
  if command -v promtool >/dev/null 2>&1 || [ -x "$place/promtool" ]; then return 0; fi
  folder=$(mktemp -d)
  if (
    cd "$folder" &&
      { apt-get download -qq prometheus || { [ "$(id -u)" -eq 0 ] && apt-get update -qq && apt-get download -qq prometheus; }; } &&
      dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool &&
      mkdir -p "$place" &&
      mv usr/bin/promtool "$place/"
  ) >/dev/null 2>&1; then
    say "promtool, out of Debian's package prometheus, is in $place"
  else
    say 'no promtool to be had: the tests that need it are skipped'
  fi
  rm -rf "$folder"
}

install_modules() {
  # npm ci would empty what it points to, for everyone who shares it.
  if [ -L node_modules ]; then
    say "node_modules is a link to $(readlink node_modules): left alone"
    return 0
  fi
  if [ node_modules/.package-lock.json -nt package-lock.json ]; then return 0; fi
  say 'npm ci'
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
}

build_dist() {
  if [ -e dist/.built ] &&
    [ -z "$(find src stack io-engine package.json tsconfig.json tsconfig.build.json -newer dist/.built -print | head -n 1)" ]; then
    return 0
  fi
  say 'npm run build'
  rm -rf dist
  npm run --silent build
  touch dist/.built
}

check_node
install_packages
if [ "$tests" = yes ]; then fetch_promtool; fi
install_modules
if [ "$build" = yes ]; then build_dist; fi
say 'ready'
