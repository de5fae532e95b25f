# The same work through redis-py; prints its answers as JSON.
#   library.py HOST PORT
import json
import sys
import threading
import time

import redis

host, port = sys.argv[1], int(sys.argv[2])
client = redis.Redis(host, port)
answers = []


def plain(value):
    """Bytes, sets and errors in a form that JSON keeps."""
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, Exception):
        return {"error": str(value)}
    if isinstance(value, dict):
        return {"map": sorted([plain(k), plain(v)] for k, v in value.items())}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(plain(item) for item in value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def note(name, make):
    try:
        answers.append([name, plain(make())])
    except redis.RedisError as error:
        answers.append([name, plain(error)])


note("flushall", client.flushall)
note("set", lambda: client.set("text", bytes(range(256)), ex=100))
note("get", lambda: client.get("text"))
note("set nx", lambda: client.set("text", "x", nx=True))
note("wrong type", lambda: client.lpush("text", "x"))
note("hset", lambda: client.hset("h", mapping={"a": 1, "b": 2.5, "c": "x" * 100}))
note("hgetall", lambda: client.hgetall("h"))
note("zadd", lambda: client.zadd("z", {"one": 1.5, "two": 2, "inf": float("inf")}))
note("zrange", lambda: client.zrange("z", 0, -1, withscores=True))
note("sadd", lambda: client.sadd("s", *range(600)))
note("smembers", lambda: client.smembers("s"))
note("sscan", lambda: set(client.sscan_iter("s", count=50)))
note("rpush", lambda: client.rpush("l", *range(1000)))
note("lrange", lambda: client.lrange("l", 100, 110))
note("blpop", lambda: client.blpop(["empty", "l"], timeout=1))
note("geoadd", lambda: client.geoadd("g", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"]))
note("geosearch", lambda: client.geosearch("g", member="Palermo", radius=200, unit="km", withdist=True))
note("bitfield", lambda: client.bitfield("bits").set("u8", "#1", 200).incrby("i5", 2, 7).execute())
note("xadd", lambda: client.xadd("x", {"f": "v", "n": 1}, id="1-1"))
note("xgroup", lambda: client.xgroup_create("x", "g", "0"))
note("xreadgroup", lambda: client.xreadgroup("g", "c", {"x": ">"}, count=5))
note("xpending", lambda: client.xpending("x", "g"))
note("xack", lambda: client.xack("x", "g", "1-1"))
note("xinfo", lambda: client.xinfo_stream("x"))

add = client.register_script("redis.call('incrby', KEYS[1], ARGV[1]); return {redis.call('get', KEYS[1]), ARGV[2]}")
note("script", lambda: add(keys=["n"], args=[41, b"\x00\xff"]))
note("script again", lambda: add(keys=["n"], args=[1, ""]))


def pipeline():
    pipe = client.pipeline(transaction=True)
    for i in range(500):
        pipe.set("many:%d" % i, "v" * i)
    for i in range(500):
        pipe.strlen("many:%d" % i)
    return sum(result for result in pipe.execute()[500:])


note("pipeline", pipeline)
note("scan", lambda: len(list(client.scan_iter("many:*", count=37))))


def watched():
    with client.pipeline() as pipe:
        pipe.watch("n")
        client.incr("n")
        pipe.multi()
        pipe.get("n")
        return pipe.execute()


note("watch", watched)


def publish():
    listener = client.pubsub()
    listener.subscribe("news")
    listener.psubscribe("n*")
    seen = []
    end = time.time() + 10
    published = False
    while len(seen) < 4 and time.time() < end:
        message = listener.get_message(timeout=0.2)
        if message is not None:
            seen.append(message)
        if len(seen) == 2 and not published:
            published = True
            client.publish("news", b"hello \x00")
    listener.close()
    return seen


note("pubsub", publish)


def blocked():
    timer = threading.Timer(0.2, lambda: client.rpush("late", "here"))
    timer.start()
    return redis.Redis(host, port).brpop("late", timeout=5)


note("blocked", blocked)
note("unknown", lambda: client.execute_command("NOSUCHCOMMAND", "x"))
note("lock", lambda: client.lock("lock", timeout=5).acquire(blocking=False))
note("lock twice", lambda: client.lock("lock", timeout=5).acquire(blocking=False))
note("info", lambda: client.info("server")["redis_mode"])
note("dbsize", client.dbsize)
print(json.dumps(answers))
