#!/bin/sh
# Installs wiredis as a systemd service: a user of its own, a unit with the four capabilities that the engines need and
# no others, /etc/wiredis for settings, /var/lib/wiredis for data. What exists is kept.
#   install-service.sh [install] [--interface NAME] [--address CIDR] [--gateway IP] [--conf FILE] [--dry-run]
#   install-service.sh uninstall [--purge] [--dry-run]     --purge: settings, data and user too
#   --conf FILE: a redis.conf that is there already, such as Debian's /etc/redis/redis.conf
#   --dry-run prints what would be done
# Afterwards: wiredis doctor --netdev /etc/wiredis/netdev.conf, systemctl enable --now wiredis; systemctl reload wiredis
# takes over what has changed in redis.conf; sudo wiredis netstat looks inside.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
unit=/etc/systemd/system/wiredis.service
settings=/etc/wiredis
user=wiredis
group=wiredis

say() { printf 'install-service: %s\n' "$*"; }
fail() { printf 'install-service: %s\n' "$*" >&2; exit 1; }

action=install interface='' address='' gateway='' conf=$settings/redis.conf dry=no purge=no
case "${1:-}" in install | uninstall) action=$1; shift ;; esac
while [ $# -gt 0 ]; do
  case $1 in
    --interface | --address | --gateway | --conf) [ $# -gt 1 ] || fail "$1 wants a value" ;;
  esac
  case $1 in
    --interface) interface=$2; shift ;;
    --address) address=$2; shift ;;
    --gateway) gateway=$2; shift ;;
    --conf) conf=$2; shift ;;
    --dry-run) dry=yes ;;
    --purge) purge=yes ;;
    --help | -h) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option '$1': --help lists them" ;;
  esac
  shift
done

# do COMMAND...: prints it, and runs it unless nothing is to be done
do_it() {
  if [ "$dry" = yes ]; then printf '+ %s\n' "$*"; else "$@"; fi
}

# put FILE MODE: standard input into FILE
put() {
  if [ "$dry" = yes ]; then
    printf '+ write %s (mode %s)\n' "$1" "$2"
    sed 's/^/    /'
  else
    cat >"$1"
    chmod "$2" "$1"
  fi
}

# A redis.conf of somebody's, such as Debian's, and the data that it names, are that user's: the server runs as its owner.
choose_user() {
  [ "$conf" != "$settings/redis.conf" ] || return 0
  [ -f "$conf" ] || fail "there is no $conf"
  owner=$(stat -c %U "$conf")
  case $owner in root | UNKNOWN) return 0 ;; esac
  user=$owner
  group=$(id -gn "$owner")
  say "$conf is $owner's: the service runs as $owner"
}

server_script() {
  script=$root/dist/src/cli/wiredis-server.js
  [ -e "$script" ] || fail "there is no build: run 'npm run build' in $root, or install the package"
  printf '%s\n' "$script"
}

unit_text() {
  node=$(command -v node) || fail 'node is not in PATH'
  script=$(server_script)
  cat <<UNIT
[Unit]
Description=wiredis: Redis served straight from the wire
Documentation=file://$root/README.md
After=network.target
Wants=network.target

[Service]
Type=notify
NotifyAccess=main
User=$user
Group=$group
ExecStart=$node $script $conf --daemonize no --supervised systemd --netdev $settings/netdev.conf --user-after-open $user
ExecReload=/bin/kill -HUP \$MAINPID
Restart=on-failure
RestartSec=1
TimeoutStartSec=infinity
TimeoutStopSec=120
WorkingDirectory=/var/lib/wiredis
StateDirectory=wiredis
StateDirectoryMode=0750
LogsDirectory=wiredis
RuntimeDirectory=wiredis-service
UMask=0077
LimitNOFILE=65536
LimitMEMLOCK=infinity

# Frames of an interface (RAW, ADMIN), the XDP program (BPF), memory shared with the device (IPC_LOCK): nothing else, and
# not any longer than until the interface is open.
AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN CAP_BPF CAP_IPC_LOCK
CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_BPF CAP_IPC_LOCK
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_PACKET AF_XDP AF_NETLINK
SystemCallArchitectures=native
ReadWritePaths=-/var/lib/redis -/var/log/redis -/run/redis

[Install]
WantedBy=multi-user.target
UNIT
}

netdev_text() {
  sed -e "s|^interface = .*|interface = ${interface:-wire0}|" -e "s|^address = .*|address = ${address:-10.77.0.1/24}|" \
    "$root/netdev.conf"
  [ -z "$gateway" ] || printf '\ngateway = %s\n' "$gateway"
}

redis_conf_text() {
  cat <<CONF
# Redis's own directives; 'wiredis-server --help' names those that are wiredis's.
port 6379
# Other hosts are refused until there is a password (requirepass) or protected-mode is off.
protected-mode yes
dir /var/lib/wiredis
logfile ""
# http://127.0.0.1:9121/ : metrics for Prometheus and a page for people; 0: neither.
metrics-port 9121
CONF
}

install_service() {
  # Before anything is changed: what cannot work is said first.
  choose_user
  unit_text >/dev/null
  [ -d /run/systemd/system ] || [ "$dry" = yes ] || fail 'systemd does not run here: start wiredis-server by what does'
  if id "$user" >/dev/null 2>&1; then say "user $user is there"; else
    do_it useradd --system --user-group --home-dir /var/lib/wiredis --no-create-home --shell /usr/sbin/nologin "$user"
  fi
  do_it install -d -m 0755 "$settings"
  if [ -e "$settings/netdev.conf" ]; then say "$settings/netdev.conf is kept"; else
    netdev_text | put "$settings/netdev.conf" 0644
  fi
  if [ -e "$conf" ]; then say "$conf is kept"; else
    redis_conf_text | put "$conf" 0640
    do_it chgrp "$user" "$conf"
  fi
  unit_text | put "$unit" 0644
  do_it systemctl daemon-reload
  [ -n "$interface$address" ] || say "no --interface and --address were given: set both in $settings/netdev.conf"
  say "now: wiredis doctor --netdev $settings/netdev.conf, and when it has no complaint: systemctl enable --now wiredis"
}

uninstall_service() {
  do_it systemctl disable --now wiredis || say 'it was not running'
  do_it rm -f "$unit"
  do_it systemctl daemon-reload
  if [ "$purge" = yes ]; then
    do_it rm -rf "$settings" /var/lib/wiredis /var/log/wiredis
    ! id "$user" >/dev/null 2>&1 || do_it userdel "$user"
  else
    say "kept: $settings, /var/lib/wiredis, /var/log/wiredis, user $user; --purge removes them"
  fi
}

[ "$dry" = yes ] || [ "$(id -u)" -eq 0 ] || fail 'run it as root, or with --dry-run to see what it would do'
case $action in
  install) install_service ;;
  uninstall) uninstall_service ;;
esac
