"""A job queue of Celery: jobs, failures, retries, chains, chords, priorities, revocation, a look at the worker.

Argument: the port. The broker and the results are the same server. What became of the jobs is printed, `ok` at the end.
"""

import os
import sys
import tempfile
import threading
import time

from celery import Celery, chain, chord, group
from celery.contrib.testing.worker import start_worker

os.chdir(tempfile.mkdtemp())
PORT = int(sys.argv[1])
app = Celery("jobs", broker="redis://127.0.0.1:%d/0" % PORT, backend="redis://127.0.0.1:%d/1" % PORT)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 60, "queue_order_strategy": "priority"},
    result_expires=600,
    task_track_started=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)
WAIT = {"timeout": 60}
seen = []


@app.task
def add(one, other):
    return one + other


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def broken():
    raise ValueError("as asked for")


@app.task(bind=True, max_retries=3)
def stubborn(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.05)
    return "after %d retries" % self.request.retries


@app.task
def note(word):
    seen.append(word)


def until(what, condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def main():
    # Before anybody works: what is queued, and in which order it is to be taken.
    for number in range(3):
        note.apply_async(("low %d" % number,), priority=9)
        note.apply_async(("high %d" % number,), priority=0)
    unwanted = add.apply_async((1, 1), countdown=3600)
    with app.connection_for_read() as connection:
        print("queued", sorted(connection.default_channel.client.keys("celery*")))
        print("waiting", connection.default_channel._size("celery"))

    with start_worker(app, pool="threads", concurrency=1, perform_ping_check=False, loglevel="CRITICAL"):
        until("the queued jobs are never done", lambda: len(seen) == 6)
        print("order", seen)
        print("sum", add.delay(2, 3).get(**WAIT))
        failed = broken.delay()
        print("failed", repr(failed.get(propagate=False, **WAIT)), failed.state)
        print("retried", stubborn.delay().get(**WAIT))
        print("chain", chain(add.s(1, 2), add.s(10), add.s(100))().get(**WAIT))
        print("group", group(add.s(n, n) for n in range(20))().get(**WAIT))
        print("chord", chord((add.s(n, 1) for n in range(10)), total.s())().get(**WAIT))
        inspect = app.control.inspect(timeout=10, limit=1)
        print("scheduled", [len(jobs) for jobs in inspect.scheduled().values()])
        unwanted.revoke()
        until("the revocation never arrives", lambda: [1] == [len(r) for r in (inspect.revoked() or {}).values()])
        print("ping", [list(answer.values()) for answer in app.control.ping(timeout=10, limit=1)])
        late = add.apply_async((5, 6), countdown=0.2)
        print("late", late.get(**WAIT), late.successful())
        late.forget()
        print("forgotten", late.state)
        print("expired", repr(add.apply_async((1, 2), expires=-1).get(propagate=False, **WAIT)))
    print("purged", app.control.purge() >= 0)
    print("ok")


main()
sys.stdout.flush()
# Threads of the worker that still wait for a broker must not hold up the end.
os._exit(0)
