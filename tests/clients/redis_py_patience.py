"""redis-py asks a master for maintenance notifications and is told of a planned switchover.

Ports of the master and of a sentinel as arguments. Prints what it was told, in order, and `ok`.
"""

import sys
import time

import redis
from redis import maint_notifications as maint

master, sentinel = (int(port) for port in sys.argv[1:])
told = []
handle = maint.MaintNotificationsConnectionHandler.handle_notification


def noted(self, notification):
    told.append(type(notification).__name__)
    handle(self, notification)
    # While a switchover is under way it waits longer for answers.
    if isinstance(notification, maint.NodeFailingOverNotification):
        assert notification.ttl > 0, notification
        assert self.connection.maintenance_state is maint.MaintenanceState.MAINTENANCE


maint.MaintNotificationsConnectionHandler.handle_notification = noted
config = maint.MaintNotificationsConfig(enabled=True, endpoint_type=maint.EndpointType.NONE)
client = redis.Redis(port=master, protocol=3, single_connection_client=True, maint_notifications_config=config)
assert client.set("client:key", "before")
asked = redis.Redis(port=sentinel, decode_responses=True)
deadline = time.monotonic() + 60
while True:
    try:
        asked.execute_command("SENTINEL", "FAILOVER", "mymaster")
        break
    except redis.ResponseError as error:
        # A fleet that has just begun may not be ready for it.
        assert time.monotonic() < deadline, error
        time.sleep(0.1)
while not told:
    try:
        client.get("client:key")
    except (redis.ConnectionError, redis.ReadOnlyError):
        pass
    assert time.monotonic() < deadline, "it was told nothing"
    time.sleep(0.001)
print(*told)
print("ok")
