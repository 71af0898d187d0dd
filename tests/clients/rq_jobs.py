"""A job queue of RQ: jobs that work, fail, are tried again, wait for others, or are due later.

Argument: the port. What became of them is printed, `ok` at the end.
"""

import sys
import time
from datetime import timedelta

from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry
from rq.scheduler import RQScheduler


ADD = "operator.add"


def main():
    connection = Redis(port=int(sys.argv[1]))
    queue = Queue("work", connection=connection)
    high = Queue("high", connection=connection)
    first = queue.enqueue(ADD, 1, 2)
    failing = queue.enqueue("operator.truediv", 1, 0, retry=Retry(max=2))
    waiting = queue.enqueue(ADD, 3, 4, depends_on=first)
    many = queue.enqueue_many([Queue.prepare_data(ADD, (n, n), job_id="many%d" % n) for n in range(20)])
    urgent = high.enqueue(ADD, 5, 6, meta={"who": "gruesse"})
    later = queue.enqueue_in(timedelta(milliseconds=50), ADD, 7, 8)
    print("queued", len(queue), len(high), waiting.get_status(), later.get_status())
    print("scheduled", len(ScheduledJobRegistry(queue=queue)))

    SimpleWorker([high, queue], connection=connection).work(burst=True, logging_level="CRITICAL")
    print("done", first.return_value(), waiting.return_value(), urgent.return_value())
    print("many", sorted(job.return_value() for job in many))
    print("finished", len(FinishedJobRegistry(queue=queue)), len(FinishedJobRegistry(queue=high)))
    failing.refresh()
    print("failed", failing.get_status(), FailedJobRegistry(queue=queue).get_job_ids() == [failing.id])
    print("why", failing.latest_result().exc_string.strip().splitlines()[-1])
    print("meta", Job.fetch(urgent.id, connection=connection).get_meta())

    scheduler = RQScheduler([queue], connection=connection, logging_level="CRITICAL")
    print("locked", sorted(scheduler.acquire_locks()))
    deadline = time.monotonic() + 20
    while len(queue) == 0:
        assert time.monotonic() < deadline, "the scheduled job is never due"
        time.sleep(0.05)
        scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
    print("later", later.return_value())
    FailedJobRegistry(queue=queue).requeue(failing.id)
    print("again", len(queue), queue.empty(), len(queue))
    queue.delete(delete_jobs=True)
    print("ok")


main()
