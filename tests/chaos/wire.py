"""What the fleets of these runs are called and let in by, over the connection that the benches use too."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "benches"))

from resp import Connection, ReplyError, ask, pairs, wait_for, write_between  # noqa: E402, F401
import resp  # noqa: E402

PASSWORD = "only-for-chaos"
GROUP = "mymaster"


def info(address, section):
    return resp.info(address, section, PASSWORD)
