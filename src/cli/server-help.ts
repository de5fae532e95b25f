// What `wiredis-server --help` says: how it is called, and the directives that redis-server does not have.
// Only wiredis-server.ts imports this.

export const HELP = `Usage: wiredis-server [FILE] [-] [--DIRECTIVE VALUE ...]

  FILE                   configuration file, as redis-server reads it
  -                      more configuration from standard input
  --DIRECTIVE VALUE ...  any directive of the configuration file; wins over the file
  --help, --version

Directives that redis-server does not have:

  --transport userspace|kernel   our own TCP/IP stack on a dedicated interface, or the kernel's
  --netdev FILE                  which interface, with which address (user-space transport)
  --engine auto|afxdp|afpacket|pcap|tap|raw   how frames are read and written

  --core embedded|relay  Redis in this process, or a real redis-server behind it:
  --relay-spawn COMMAND  started and watched over here ("redis-server /etc/redis.conf"), or
  --relay-upstream unix:PATH|tcp:HOST:PORT   one that runs already
  --relay-forward "PORT unix:PATH|tcp:HOST:PORT"   another port of ours, with an upstream of its own
  --workers N            so many relay processes, each with its share of the connections

  --metrics-port PORT    metrics for Prometheus and a web page; 0: neither
  --metrics-bind ADDRESS, --metrics-token TOKEN   without a token on loopback only
  --control-socket auto|PATH   where 'wiredis netstat' and its like ask; '': nowhere
  --log-format redis|json
  --user-after-open NAME   who the process becomes once interface, ports and log are open

  --module-add PATH      a module in JavaScript, also by CONFIG SET while the server runs
  --module-strict yes|no   refuse modules of another version of the module API
  --move-listen ADDRESS:PORT   wait for the server of another host, which 'wiredis move' sends here
  --move-secret TEXT     what both of them know

Examples:
  wiredis-server --transport kernel --port 7777
  wiredis-server /etc/redis.conf --netdev /etc/netdev.conf --loglevel verbose`;
