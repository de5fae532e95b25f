#!/bin/sh
# Runs the test suites that Redis clients have of their own against redis-server and against wiredis on kernel sockets,
# and prints what fails with wiredis alone; the exit code is 1 when something does. Each server and its tests are in a
# network namespace made for them (root), where the port 6379 is free.
#   scripts/client-suites.sh redis-py|ioredis|node-redis|hiredis|bullmq [FOLDER] [--dist FOLDER]
#   FOLDER  a checkout of the client, with what its tests need; without it one is made in $WIREDIS_SUITE (default
#           /var/tmp/wiredis-suite) from its repository (git; npm; python3-pytest, -asyncio, -timeout of $PYTHON or of Debian;
#           make, cc)
#   --dist  a build to test, instead of the one in this folder
# Tests of clusters, TLS and Redis Stack are left out: they want servers of their own; and so are BullMQ's of its pool of
# processes, which want BullMQ built and no Redis.
set -eu
. "$(dirname -- "$0")/help.sh"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=${WIREDIS_SUITE:-/var/tmp/wiredis-suite}
dist=$root/dist
client=
folder=
owner=redis

say() { printf 'client-suites: %s\n' "$*"; }
fail() { printf 'client-suites: %s\n' "$*" >&2; exit 2; }
absolute() { CDPATH='' cd -- "$1" 2>/dev/null && pwd || fail "there is no folder '$1'"; }

while [ $# -gt 0 ]; do
  case $1 in
    --dist) dist=$(absolute "${2:-}"); shift ;;
    -*) fail "unknown option '$1': see --help" ;;
    *) if [ -z "$client" ]; then client=$1; else folder=$(absolute "$1"); fi ;;
  esac
  shift
done
case $client in
  redis-py) version=v4.3.4 suite=redis_py ;;
  ioredis) version=v6.0.0 suite=io_redis ;;
  node-redis) version=redis@6.2.1 suite=node_redis ;;
  hiredis) version=v1.4.1 suite=hiredis ;;
  bullmq) version=v6.2.0 suite=bull_mq owner=taskforcesh ;;
  *) fail "which client, redis-py, ioredis, node-redis, hiredis or bullmq? See --help" ;;
esac

# checkout: the client's repository, at the version that was looked at.
checkout() {
  folder=$cache/$client-$version
  [ ! -e "$folder" ] || return 0
  mkdir -p "$cache"
  say "fetching $client $version into $folder"
  git clone -q --depth 1 --branch "$version" "https://github.com/$owner/$client" "$folder" || fail 'it could not be fetched'
  case $client in
    ioredis) (cd "$folder" && npm ci --silent) ;;
    node-redis) (
      cd "$folder" && npm ci --silent --ignore-scripts &&
        npx tsc --build packages/client packages/bloom packages/test-utils
    ) ;;
    # Its own build makes far more than its tests need.
    bullmq) (
      cd "$folder" && npm install --silent --ignore-scripts &&
        npx ts-node --transpile-only --project tsconfig-cjs.json scripts/generateRawScripts.ts &&
        node scripts/commandTransform.js rawScripts src/scripts
    ) ;;
    hiredis) make -s -C "$folder" hiredis-test ;;
  esac
}

# A suite prints what it counted, writes its output to $2, and to $1 the names of the tests that failed.
redis_py() {
  left_out=
  for name in cluster bloom json graph graph_utils search timeseries ssl; do
    for place in tests tests/test_asyncio; do left_out="$left_out --ignore $place/test_$name.py"; done
  done
  # shellcheck disable=SC2086
  PYTHONPATH=$PWD "${PYTHON:-/usr/bin/python3}" -m pytest -p no:cacheprovider -q --timeout 60 -rfE --redis-url redis://127.0.0.1:6379/9 \
    -m 'not onlycluster and not redismod and not ssl' --ignore tests/test_graph_utils $left_out >"$2" 2>&1 || :
  sed -n 's/^\(FAILED\|ERROR\) \([^ ]*\).*/\2/p' "$2" | LC_ALL=C sort -u >"$1"
  tail -n 1 "$2" | grep ' passed' || fail "the suite did not run: $(grep . "$2" | tail -n 3)"
}

io_redis() {
  TS_NODE_TRANSPILE_ONLY=true NODE_ENV=test npx mocha --exit --reporter json --reporter-option output="$2" \
    'test/helpers/*.ts' 'test/unit/**/*.ts' 'test/functional/**/*.ts' >"$2.said" 2>&1 || :
  mocha_results "$1" "$2"
}

# Its tests have docker start each server; what stands in for docker starts the one under test.
node_redis() {
  mkdir -p "$work/bin"
  cat >"$work/bin/docker" <<'DOCKER'
#!/bin/sh
# run ... -e PORT=N ... IMAGE WORDS: that server with these words. rm -f ID: ends it. Nothing else.
refuse() { echo "docker: no $1 here" >&2; exit 1; }
action=$1
shift
case $action in
  run)
    port=
    while :; do
      case $1 in
        -e)
          case $2 in
            PORT=*) port=${2#PORT=} ;;
            TLS_ENABLED=*) refuse TLS ;;
          esac
          shift 2
          ;;
        --network) shift 2 ;;
        -v) refuse volumes ;;
        -*) shift ;;
        *) break ;;
      esac
    done
    [ -n "$port" ] || refuse "$1"
    shift
    case " $* " in *' --cluster-enabled '*) refuse clusters ;; esac
    folder=$(mktemp -d "$SUITE_WORK/docker-XXXXXX")
    cd "$folder"
    # shellcheck disable=SC2086
    $SUITE_SERVER --port "$port" --save '' "$@" >log 2>&1 </dev/null &
    echo $! >pid
    basename "$folder"
    ;;
  rm) kill "$(cat "$SUITE_WORK/$2/pid")" && rm "$SUITE_WORK/$2/pid" ;;
  *) refuse "$action" ;;
esac
DOCKER
  chmod +x "$work/bin/docker"
  (
    cd packages/client
    PATH=$work/bin:$PATH SUITE_WORK=$work SUITE_SERVER=$command npx mocha -r tsx --exit --reporter json --reporter-option output="$2" \
      --ignore 'lib/cluster/**' --ignore 'lib/sentinel/**' --ignore 'lib/tests/**' './lib/**/*.spec.ts' \
      --redis-tag 7.0.15 --redis-version 7.0.15 >"$2.said" 2>&1 || :
  )
  for pid in "$work"/docker-*/pid; do
    [ ! -e "$pid" ] || kill "$(cat "$pid")"
  done
  rm -rf "$work"/docker-*
  mocha_results "$1" "$2"
}

# mocha_results FAILED JSON
mocha_results() {
  [ -s "$2" ] || fail "the suite did not run: $(tail -n 1 "$2.said")"
  node -e 'const { readFileSync, writeFileSync } = require("node:fs");
    const { stats, failures } = JSON.parse(readFileSync(process.argv[1], "utf8"));
    const names = [...new Set(failures.map(({ fullTitle }) => `${fullTitle}\n`))];
    writeFileSync(process.argv[2], names.sort().join(""));
    console.log(`${stats.failures} failed, ${stats.passes} passed, ${stats.pending} skipped`)' "$2" "$1"
  LC_ALL=C sort -o "$1" "$1"
}

# One of its tests connects to where nobody answers: into a cable that ends nowhere.
hiredis() {
  if ! ip link show hole >/dev/null 2>&1; then
    ip link add hole type veth peer name end
    ip address add 192.168.254.1/24 dev hole
    ip link set hole up
    ip link set end up
  fi
  timeout 120 ./hiredis-test -h 127.0.0.1 -p 6379 -s "$socket" >"$2" 2>&1 || :
  grep -a 'FAILED.\{0,8\}$' "$2" | sed 's/^#[0-9]* //' | LC_ALL=C sort -u >"$1"
  grep -aq 'TESTS PASSED\|TESTS FAILED' "$2" || fail "the suite did not run to its end: $(tail -n 2 "$2")"
  echo "$(grep -ac 'PASSED.\{0,8\}$' "$2") passed, $(wc -l <"$1") failed"
}

bull_mq() {
  # Some measure time: on a busy machine they are asked again.
  npx vitest run --no-file-parallelism --retry 2 --reporter json --outputFile "$2" --exclude tests/child-pool.test.ts \
    >"$2.said" 2>&1 || :
  [ -s "$2" ] || fail "the suite did not run: $(tail -n 3 "$2.said")"
  node -e 'const { readFileSync, writeFileSync } = require("node:fs");
    const run = JSON.parse(readFileSync(process.argv[1], "utf8"));
    const failed = run.testResults.flatMap((file) => file.assertionResults.filter(({ status }) => status === "failed"));
    writeFileSync(process.argv[2], [...new Set(failed.map(({ fullName }) => `${fullName}\n`))].sort().join(""));
    console.log(`${run.numFailedTests} failed, ${run.numPassedTests} passed, ${run.numPendingTests} skipped`)' "$2" "$1"
  LC_ALL=C sort -o "$1" "$1"
}

# against NAME COMMAND...: runs the suite with the server that COMMAND starts.
against() {
  name=$1
  shift
  command=$*
  mkdir "$work/$name-data"
  socket=$work/$name.socket
  (cd "$work/$name-data" && exec "$@" --port 6379 --unixsocket "$socket" --save '' --enable-debug-command yes) >"$work/$name.server" 2>&1 &
  server=$!
  tries=0
  until redis-cli ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "$name does not answer: $(tail -n 1 "$work/$name.server")"
    sleep 0.1
  done
  printf '%s: ' "$name"
  (cd "$folder" && $suite "$work/$name.failed" "$work/$name.log")
  kill $server
  wait $server || :
}

if [ "${WIREDIS_CLIENT_SUITES:-}" != inside ]; then
  [ "$(id -u)" -eq 0 ] || fail 'network namespaces want root'
  for program in redis-server redis-cli unshare ip git; do
    command -v "$program" >/dev/null 2>&1 || fail "$program is missing: apt-get install redis-server util-linux iproute2 git"
  done
  [ -e "$dist/src/cli/wiredis-server.js" ] || "$root/scripts/setup.sh"
  [ -n "$folder" ] || checkout
  WIREDIS_CLIENT_SUITES=inside exec unshare --net -- "$0" "$client" "$folder" --dist "$dist"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ip link set lo up
against redis-server redis-server --loglevel warning
against wiredis node "$dist/src/cli/wiredis-server.js" --transport kernel
LC_ALL=C comm -13 "$work/redis-server.failed" "$work/wiredis.failed" >"$work/alone"
if [ -s "$work/alone" ]; then
  sed 's/^/fails with wiredis alone: /' "$work/alone"
  exit 1
fi
echo 'nothing fails with wiredis alone'
