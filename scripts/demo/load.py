"""Load with redis-py: writes until SIGTERM, then looks for every acknowledged one. Prints one line of JSON.

python3 load.py cluster HOST[,HOST...] PORT
python3 load.py sentinel HOST[,HOST...] PORT NAME
"""
import json
import signal
import sys
import time

from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException, RedisError
from redis.sentinel import Sentinel

# The second is no RedisError in redis-py.
FAILURES = (RedisError, RedisClusterException, OSError)
READ_ATTEMPTS = 100
stopping = False


def stop(_signal, _frame):
    global stopping
    stopping = True


def connect(kind, hosts, port, name=None):
    timeouts = {"socket_timeout": 2, "socket_connect_timeout": 2}
    for _ in range(50):
        try:
            if kind == "cluster":
                nodes = [ClusterNode(host, port) for host in hosts]
                return RedisCluster(startup_nodes=nodes, reinitialize_steps=1, **timeouts)
            sentinel = Sentinel([(host, port) for host in hosts], **timeouts)
            return sentinel.master_for(name, **timeouts)
        except FAILURES:
            time.sleep(0.2)
    raise SystemExit(f"no {kind}")


def recover(error):
    """redis-py 4 cannot find its way again once it has lost touch with a node that it began with: a new client can."""
    global client
    if isinstance(error, RedisClusterException):
        client = connect(kind, hosts.split(","), int(port), *name)


def read(key):
    for _ in range(READ_ATTEMPTS):
        try:
            return client.get(key)
        except FAILURES as error:
            recover(error)
            time.sleep(0.2)
    raise SystemExit(f"{key} cannot be read")


signal.signal(signal.SIGTERM, stop)
kind, hosts, port, *name = sys.argv[1:]
client = connect(kind, hosts.split(","), int(port), *name)
acknowledged = []
errors = 0
longest = 0.0
last = time.monotonic()
number = 0
while not stopping:
    key = f"python:{number}"
    number += 1
    try:
        client.set(key, key)
        acknowledged.append(key)
        now = time.monotonic()
        longest = max(longest, now - last)
        last = now
    except FAILURES as error:
        recover(error)
        errors += 1
        time.sleep(0.1)
    time.sleep(0.01)
lost = sum(1 for key in acknowledged if read(key) != key.encode())
print(
    json.dumps(
        {
            "client": "redis-py",
            "acknowledged": len(acknowledged),
            "errors": errors,
            "longestPauseMs": round(longest * 1000),
            "lost": lost,
        }
    )
)
