"""Small fleets for the benches: real processes in a throw-away directory, ended by their own pids.

Python's standard library only. Knows how three systems are started and nothing of what is measured.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VEDETTE = os.environ.get("VEDETTE", os.path.join(ROOT, "target", "release", "vedette"))
GROUP = "mymaster"


class ReplyError(Exception):
    """The server answered with an error."""


class Connection:
    """One RESP2 connection with a deadline on every call."""

    def __init__(self, port, timeout):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def call(self, *words):
        words = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return rest
        if kind == b"-":
            raise ReplyError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == "-1":
                return None
            return self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return None if rest == "-1" else [self.reply() for _ in range(int(rest))]
        raise ConnectionError("not RESP2: %r" % line)

    def close(self):
        self.file.close()
        self.socket.close()


def ask(port, *words, timeout=0.25):
    """One question on a connection of its own; None when there is no answer."""
    try:
        connection = Connection(port, timeout)
    except OSError:
        return None
    try:
        return connection.call(*words)
    except (OSError, ReplyError, ValueError):
        return None
    finally:
        connection.close()


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2])) if reply else {}


def info(port, section):
    text = ask(port, "INFO", section) or ""
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


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


def wait_for(what, condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError("not within %s s: %s" % (seconds, what))


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


def write_between(path, mark, text):
    """Replaces what stands between `<!-- mark:begin -->` and `<!-- mark:end -->`."""
    with open(path) as file:
        whole = file.read()
    begin, end = "<!-- %s:begin -->" % mark, "<!-- %s:end -->" % mark
    head, rest = whole.split(begin, 1)
    tail = rest.split(end, 1)[1]
    with open(path, "w") as file:
        file.write(head + begin + "\n" + text + end + tail)
