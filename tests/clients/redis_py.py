"""redis-py's Sentinel client against a fleet, through a switchover. Ports of the sentinels as arguments.

Prints `ok` at the end; anything else is a failure that the traceback names.
"""

import sys
import time

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

GROUP = "mymaster"
PATIENCE_S = 60


def eventually(what, attempt):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = attempt()
            if found:
                return found
            why = "not yet"
        except (redis.RedisError, MasterNotFoundError) as error:
            why = repr(error)
        assert time.monotonic() < deadline, "%s: %s" % (what, why)
        time.sleep(0.05)


ports = [int(port) for port in sys.argv[1:]]
sentinels = Sentinel([("127.0.0.1", port) for port in ports], socket_timeout=1, decode_responses=True)
before = sentinels.discover_master(GROUP)
assert len(sentinels.discover_slaves(GROUP)) == 2, sentinels.discover_slaves(GROUP)

master = sentinels.master_for(GROUP)
replica = sentinels.slave_for(GROUP)
assert master.set("client:key", "before")
assert master.wait(1, 2000) >= 1
eventually("a replica has the write", lambda: replica.get("client:key") == "before")

asked = redis.Redis(port=ports[0], decode_responses=True)
events = asked.pubsub(ignore_subscribe_messages=True)
events.subscribe("+switch-master")
# The subscription stands when its confirmation was read.
events.get_message(timeout=1)
assert asked.execute_command("SENTINEL", "FAILOVER", GROUP) in ("OK", True, b"OK")

message = eventually("+switch-master is published", lambda: events.get_message(timeout=1))
name, old_host, old_port, new_host, new_port = message["data"].split(" ")
assert (name, old_host, int(old_port)) == (GROUP,) + tuple(before), message
after = eventually("the sentinels name the new master", lambda: sentinels.discover_master(GROUP))
assert after == (new_host, int(new_port)) != before, (before, after, message)

# The same objects go on: the pool asks the sentinels again.
eventually("the client writes to the new master", lambda: master.set("client:key", "after"))
assert master.get("client:key") == "after"
asked_info = asked.info("sentinel")
assert asked_info["master0"]["name"] == GROUP and asked_info["master0"]["status"] == "ok", asked_info
print("ok")
