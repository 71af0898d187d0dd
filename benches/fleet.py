"""Small fleets for the benches: real processes in a throw-away directory, ended by their own pids.

Python's standard library only; `resp` has the connection. Knows how three systems are started and nothing of what is measured.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import resp
from resp import ReplyError, pairs, wait_for, write_between  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VEDETTE = os.environ.get("VEDETTE", os.path.join(ROOT, "target", "release", "vedette"))
GROUP = "mymaster"


class Connection(resp.Connection):
    def __init__(self, port, timeout):
        super().__init__(("127.0.0.1", port), timeout)


def ask(port, *words, timeout=0.25):
    return resp.ask(("127.0.0.1", port), *words, timeout=timeout)


def info(port, section):
    return resp.info(("127.0.0.1", port), section)


def free_ports(count):
    """Ports that nobody holds now, all held at once so that no two are equal."""
    held = []
    while len(held) < count:
        holder = socket.socket()
        holder.bind(("127.0.0.1", 0))
        held.append(holder)
    ports = [holder.getsockname()[1] for holder in held]
    for holder in held:
        holder.close()
    return ports


class Fleet:
    """One master, two replicas, three sentinels of one system. `bundled`: our data servers;
    `vedette`: our sentinels; otherwise Redis' own."""

    def __init__(self, vedette, bundled, down_after_ms):
        self.vedette, self.bundled, self.down_after_ms = vedette, bundled, down_after_ms
        self.dir = tempfile.mkdtemp(prefix="fleet-")
        self.processes = {}
        ports = free_ports(6)
        self.data, self.sentinels = ports[:3], ports[3:]

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def spawn(self, name, argv):
        log = open(os.path.join(self.dir, name + ".log"), "ab")
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir)
        log.close()
        self.processes[name] = process
        return process

    def start(self):
        for index, port in enumerate(self.data):
            home = os.path.join(self.dir, "data-%d" % port)
            os.mkdir(home)
            argv = [VEDETTE, "server"] if self.bundled else ["redis-server"]
            argv += ["--port", str(port), "--bind", "127.0.0.1", "--dir", home, "--save", "", "--appendonly", "no"]
            if not self.bundled:
                argv += ["--repl-diskless-sync-delay", "0"]
            if index:
                argv += ["--replicaof", "127.0.0.1 %d" % self.data[0]]
            self.spawn("data-%d" % port, argv)
        for port in self.data:
            wait_for("port %d answers" % port, lambda: ask(port, "PING") == "PONG", 15)
        wait_for("both replicas stream", self.replicas_stream, 30)
        for index, port in enumerate(self.sentinels):
            start = self.vedette_sentinel if self.vedette else self.redis_sentinel
            start(index + 1, port)
        wait_for("the sentinels know master, replicas and each other", self.settled, 60)
        # Redis Sentinel learns of its peers by hello messages; give each system the same calm.
        time.sleep(2)

    def vedette_sentinel(self, number, port):
        peers = "".join('  - { id: %d, address: "127.0.0.1:%d" }\n' % (i + 1, p) for i, p in enumerate(self.sentinels))
        path = os.path.join(self.dir, "sentinel-%d.yaml" % number)
        with open(path, "w") as file:
            file.write(
                "id: %d\nport: %d\ndir: %s\npeers:\n%smasters:\n  - name: %s\n    address: 127.0.0.1:%d\n"
                "    quorum: 2\n    down-after-milliseconds: %d\n    failovers-max: 0\n"
                % (number, port, os.path.join(self.dir, "sentinel-%d" % number), peers, GROUP, self.data[0], self.down_after_ms)
            )
        self.spawn("sentinel-%d" % number, [VEDETTE, "sentinel", "--config", path])

    def redis_sentinel(self, number, port):
        path = os.path.join(self.dir, "sentinel-%d.conf" % number)
        with open(path, "w") as file:
            file.write(
                "port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\n"
                "sentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 60000\n"
                % (port, self.dir, GROUP, self.data[0], GROUP, self.down_after_ms, GROUP)
            )
        self.spawn("sentinel-%d" % number, ["redis-server", path, "--sentinel"])

    def replicas_stream(self):
        found = info(self.data[0], "replication")
        return found.get("connected_slaves") == "2" and all(
            info(port, "replication").get("master_link_status") == "up" for port in self.data[1:]
        )

    def settled(self):
        for port in self.sentinels:
            found = pairs(ask(port, "SENTINEL", "MASTER", GROUP))
            if found.get("num-slaves") != "2" or found.get("num-other-sentinels") != "2":
                return False
            if found.get("flags") != "master":
                return False
        return True

    def published(self):
        """The master's port as the first sentinel that answers gives it, as Sentinel clients ask."""
        for port in self.sentinels:
            found = ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP, timeout=0.05)
            if found:
                return int(found[1])
        return None

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
        for process in self.processes.values():
            process.wait()
        if os.environ.get("KEEP"):
            print("kept:", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
