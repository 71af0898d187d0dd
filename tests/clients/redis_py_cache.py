"""redis-py's client-side caching over RESP3: what is read is kept, and what others change is read again.

The port as argument; what it says is compared, so nothing in it depends on time. Prints `ok` at the end.
"""

import sys
import time

import redis
from redis.cache import CacheConfig, CacheKey

# It wants a server that calls itself 7.4; what it uses is there since 6, and neither of the two says 7.4.
redis.connection.CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
port = int(sys.argv[1])
cached = redis.Redis(port=port, protocol=3, decode_responses=True, cache_config=CacheConfig(max_size=100))
other = redis.Redis(port=port, decode_responses=True)
other.flushall()


def kept():
    """The keys that the cache holds an answer for."""
    return sorted({key for entry in cached.get_cache().collection for key in entry.redis_keys})


def reads(what, read, wanted):
    """Until the invalidation has come; then what is in the cache."""
    deadline = time.monotonic() + 60
    while (found := read()) != wanted:
        assert time.monotonic() < deadline, "%s: %r, not %r" % (what, found, wanted)
        time.sleep(0.01)
    print(what, found, kept())


other.set("text", "one")
other.hset("hash", mapping={"f": "1", "g": "2"})
other.rpush("list", "a", "b")
other.sadd("set", "m")
other.zadd("zset", {"m": 1})
reads("text", lambda: cached.get("text"), "one")
reads("text again", lambda: cached.get("text"), "one")
reads("hash", lambda: cached.hgetall("hash"), {"f": "1", "g": "2"})
reads("list", lambda: cached.lrange("list", 0, -1), ["a", "b"])
reads("set", lambda: cached.sismember("set", "m"), 1)
reads("zset", lambda: cached.zscore("zset", "m"), 1.0)
reads("many", lambda: cached.mget("text", "none"), ["one", None])

# From the cache: the server counts none of these.
before = other.info("stats")["keyspace_hits"]
for _ in range(100):
    cached.get("text"), cached.hgetall("hash")
print("asked of the server:", other.info("stats")["keyspace_hits"] - before)

# Others change them: each way that a key changes.
other.set("text", "two")
reads("changed", lambda: cached.get("text"), "two")
other.hincrby("hash", "f", 5)
reads("counted", lambda: cached.hgetall("hash"), {"f": "6", "g": "2"})
other.delete("text")
reads("deleted", lambda: cached.get("text"), None)
other.rename("list", "text")
other.set("passing", "soon over")
reads("there", lambda: cached.get("passing"), "soon over")
other.pexpire("passing", 20)
reads("past its time", lambda: cached.get("passing"), None)
other.set("other:text", "by a script")
reads("before a script", lambda: cached.get("other:text"), "by a script")
other.eval("return redis.call('SET', KEYS[1], 'by a script again')", 1, "other:text")
reads("by a script", lambda: cached.get("other:text"), "by a script again")
with other.pipeline() as pipeline:
    pipeline.set("other:text", "together").set("more", "1").execute()
reads("in a transaction", lambda: cached.get("other:text"), "together")
# Its own writes count as others' do.
cached.set("other:text", "own")
reads("own", lambda: cached.get("other:text"), "own")
other.flushall()
reads("flushed", lambda: cached.get("other:text"), None)
other.client_kill_filter(_type="normal", skipme=True)
other.set("other:text", "after the connection was lost")
reads("reconnected", lambda: cached.get("other:text"), "after the connection was lost")
print("ok")
