"""The clients of one machine: they work through the sentinels as Sentinel clients do and record what happened.

    client.py NAME HISTORY MASTER SENTINEL...      (HOST:PORT each; ends and writes HISTORY when stdin closes)

A record is one JSON list a line: [kind, key, value, invoked, returned, outcome, server, waited]. Times are
CLOCK_MONOTONIC, which is one clock for all namespaces of a machine. `ok` is a positive answer; `no` an answer
that changed nothing; `maybe` anything else, errors too: a server may have executed what it then refused to
acknowledge. Knows nothing of faults and judges nothing.
"""

import json
import random
import sys
import threading
import time

from wire import GROUP, PASSWORD, Connection, ReplyError, ask

DEADLINE_S = 0.6
WAIT_MS = 400
PACE_S = 0.02
LOCK_MS = 3000
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

name, history_path, first_master = sys.argv[1:4]
sentinels = [(host, int(port)) for host, port in (word.rsplit(":", 1) for word in sys.argv[4:])]
ended = threading.Event()
history = []


class Client:
    """One connection to whom the sentinels name; after a failure it asks them again."""

    def __init__(self):
        self.connection, self.server = None, None

    def find(self):
        for sentinel in random.sample(sentinels, len(sentinels)):
            found = ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP, timeout=0.25)
            if found:
                return (found[0], int(found[1]))
        return None

    def call(self, *words):
        """The reply; raises when there is none."""
        if self.connection is None:
            self.server = self.find()
            if self.server is None:
                raise ConnectionError("no sentinel names a master")
            connection = Connection(self.server, DEADLINE_S, PASSWORD)
            # What the guidelines for Sentinel clients ask for: one that restarted is named for a moment yet.
            try:
                if connection.call("ROLE")[0] != "master":
                    raise ConnectionError("it is no master")
            except BaseException:
                connection.close()
                raise
            self.connection = connection
        return self.connection.call(*words)

    def wait(self):
        """Whether a replica confirmed what this connection wrote last."""
        try:
            return self.call("WAIT", 1, WAIT_MS) >= 1
        except (OSError, ReplyError, ValueError):
            self.drop()
            return False

    def drop(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        time.sleep(0.03)

    def act(self, kind, key, value, words, waits, answer=lambda reply: ("ok", None)):
        """One operation, recorded; what was answered, or None."""
        invoked = time.monotonic()
        try:
            reply = self.call(*words)
        except (OSError, ReplyError, ValueError):
            history.append([kind, key, value, invoked, time.monotonic(), "maybe", self.text(), False])
            self.drop()
            return None
        returned, server = time.monotonic(), self.text()
        outcome, read = answer(reply)
        value = value if read is None else read
        waited = waits and outcome == "ok" and self.wait()
        # With WAIT the operation is over when WAIT has answered.
        history.append([kind, key, value, invoked, time.monotonic() if waits else returned, outcome, server, waited])
        return outcome == "ok" and (waited or not waits)

    def text(self):
        return "%s:%d" % self.server if self.server else ""


def unique(waits):
    client, kind, number = Client(), "setw" if waits else "set", 0
    while not ended.is_set():
        number += 1
        key = "%s:%s:%d" % (kind, name, number)
        client.act(kind, key, number, ("SET", key, number), waits)
        time.sleep(PACE_S)


def append():
    client, number, key = Client(), 0, "list:" + name
    while not ended.is_set():
        number += 1
        client.act("push", key, number, ("RPUSH", key, number), True)
        time.sleep(PACE_S)


def count():
    client, key = Client(), "counter:" + name
    while not ended.is_set():
        client.act("incr", key, None, ("INCR", key), True, lambda reply: ("ok", reply))
        time.sleep(PACE_S)


def register(thread):
    client, number = Client(), 0
    while not ended.is_set():
        key = "register:%d" % random.randrange(3)
        if random.random() < 0.5:
            number += 1
            value = "%s-%s-%d" % (name, thread, number)
            client.act("write", key, value, ("SET", key, value), True)
        else:
            client.act("read", key, None, ("GET", key), False, lambda reply: ("ok", reply or ""))
        time.sleep(PACE_S)


def lock(thread):
    """Takes a lock that needs a replica's word, holds it for a moment, gives it back."""
    client, number = Client(), 0
    while not ended.is_set():
        number += 1
        token = "%s-%s-%d" % (name, thread, number)
        words = ("SET", "lock", token, "NX", "PX", LOCK_MS)
        if client.act("lock", "lock", token, words, True, lambda reply: ("ok" if reply else "no", None)):
            time.sleep(0.05)
        client.act("unlock", "lock", token, ("EVAL", RELEASE, 1, "lock", token), False)
        time.sleep(0.03)


def stubborn():
    """Keeps to the first master, whatever sentinels say, and pipelines: what a stale pool of connections does."""
    host, port = first_master.rsplit(":", 1)
    number = 0
    while not ended.is_set():
        try:
            connection = Connection((host, int(port)), 0.5, PASSWORD)
        except (OSError, ReplyError):
            time.sleep(0.1)
            continue
        connection.socket.settimeout(20)
        sent = []

        def receive(connection=connection, sent=sent):
            taken = 0
            try:
                while True:
                    outcome = "ok"
                    try:
                        connection.reply()
                    except ReplyError:
                        outcome = "maybe"
                    key, invoked = sent[taken]
                    taken += 1
                    history.append(["stubborn", key, 1, invoked, time.monotonic(), outcome, first_master, False])
            except (OSError, ValueError, IndexError):
                for key, invoked in sent[taken:]:
                    history.append(["stubborn", key, 1, invoked, time.monotonic(), "maybe", first_master, False])

        reader = threading.Thread(target=receive, daemon=True)
        reader.start()
        while reader.is_alive() and not ended.is_set():
            number += 1
            key = "stubborn:%s:%d" % (name, number)
            sent.append((key, time.monotonic()))
            try:
                connection.send("SET", key, 1)
            except OSError:
                break
            time.sleep(0.05)
        reader.join(0.3)
        try:
            connection.socket.shutdown(2)
        except OSError:
            pass
        reader.join(2)
        connection.close()


def main():
    works = [(unique, False), (unique, True), (append,), (count,), (register, 1), (register, 2), (lock, 1), (lock, 2), (stubborn,)]
    threads = [threading.Thread(target=work[0], args=work[1:]) for work in works]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    with open(history_path, "w") as file:
        for record in list(history):
            file.write(json.dumps(record) + "\n")


main()
