"""Three data servers and three sentinels of one system, each on a machine of its own, and two machines of
clients; what watches them; and what they hold in the end. Knows nothing of the faults."""

import http.server
import json
import os
import signal
import sys
import threading
import time

from wire import GROUP, PASSWORD, Connection, ReplyError, ask, info, pairs, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VEDETTE = os.environ.get("VEDETTE", os.path.join(ROOT, "target", "release", "vedette"))
# name: (our sentinels, our data servers)
SYSTEMS = {"vedette": (True, True), "vedette+redis": (True, False), "redis-sentinel": (False, False)}
DOWN_AFTER_MS = 2000
DATA_PORT, SENTINEL_PORT, HOOK_PORT = 6379, 26379, 8080
DISK_MB = 48


class Fleet:
    def __init__(self, lab, system, extra=""):
        self.lab, self.extra = lab, extra
        self.vedette, self.bundled = SYSTEMS[system]
        self.data = [lab.add("d%d" % n, 10 + n) for n in (1, 2, 3)]
        self.sentinels = [lab.add("s%d" % n, 20 + n) for n in (1, 2, 3)]
        self.clients = [lab.add("c%d" % n, 30 + n) for n in (1, 2)]
        self.histories = []

    def start(self):
        for machine in self.data:
            if self.lab.real:
                machine.small_disk(DISK_MB)
            self.data_config(machine)
            self.start_data(machine)
        for machine in self.data:
            wait_for("%s answers" % machine.name, lambda: info(self.address(machine), "server"), 20)
        wait_for("both replicas stream", lambda: self.streaming(self.data[0]) == 2, 30)
        # All files before the first process: they share secrets.
        for number, machine in enumerate(self.sentinels, 1):
            self.sentinel_config(machine, number)
        for machine in self.sentinels:
            self.start_sentinel(machine)
        wait_for("the sentinels know master, replicas and each other", self.settled, 60)
        # Redis Sentinel learns of its peers by hello messages; each system gets the same calm.
        time.sleep(2)

    def address(self, machine):
        return (machine.ip, DATA_PORT if machine in self.data else SENTINEL_PORT)

    def conf(self, machine):
        ours = self.vedette and machine in self.sentinels
        return os.path.join(self.lab.dir, machine.name + (".yaml" if ours else ".conf"))

    def data_config(self, machine):
        """Redis rewrites its file at run time, so it is written once and kept over restarts."""
        lines = [
            "port %d" % DATA_PORT, "bind " + machine.ip, "dir " + machine.dir, "protected-mode no", 'save ""', "appendonly yes",
            "requirepass " + PASSWORD, "masterauth " + PASSWORD, "replica-announce-ip " + machine.ip,
        ]
        if not self.bundled:
            lines.append("repl-diskless-sync-delay 0")
        if not self.vedette:
            # What Redis' documentation recommends beside Sentinel.
            lines += ["min-replicas-to-write 1", "min-replicas-max-lag 10"]
        if machine is not self.data[0]:
            lines.append("replicaof %s %d" % (self.data[0].ip, DATA_PORT))
        with open(self.conf(machine), "w") as file:
            file.write("\n".join(lines) + "\n")

    def start_data(self, machine):
        machine.spawn(machine.name, ([VEDETTE, "server"] if self.bundled else ["redis-server"]) + [self.conf(machine)], True)

    def sentinel_config(self, machine, number):
        with open(self.conf(machine), "w") as file:
            file.write(self.our_sentinel(machine, number) if self.vedette else self.redis_sentinel(machine))

    def our_sentinel(self, machine, number):
        secrets = {}
        for name, text in (("cluster.secret", "one secret for all the sentinels here"), ("data.pass", PASSWORD)):
            secrets[name] = os.path.join(self.lab.dir, name)
            with open(os.open(secrets[name], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
                file.write(text + "\n")
        return (
            "id: %d\nbind: %s\nport: %d\nprotected-mode: no\ndir: %s\ncluster-secret-file: %s\npeers:\n%s"
            "webhooks:\n  - name: chaos\n    url: http://%s:%d/\n    severity: verbose\n"
            "masters:\n  - name: %s\n    address: %s:%d\n    quorum: 2\n    down-after-milliseconds: %d\n"
            "    failovers-max: 0\n    auth-pass-file: %s\n%s"
            % (
                number, machine.ip, SENTINEL_PORT, os.path.join(machine.dir, "agreed"), secrets["cluster.secret"],
                "".join('  - { id: %d, address: "%s:%d" }\n' % (n, m.ip, SENTINEL_PORT) for n, m in enumerate(self.sentinels, 1)),
                self.host(), HOOK_PORT, GROUP, self.data[0].ip, DATA_PORT, DOWN_AFTER_MS, secrets["data.pass"], self.extra,
            )
        )

    def redis_sentinel(self, machine):
        return (
            "port %d\nbind %s\ndir %s\nprotected-mode no\nsentinel announce-ip %s\nsentinel monitor %s %s %d 2\n"
            "sentinel auth-pass %s %s\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 10000\n"
            % (
                SENTINEL_PORT, machine.ip, machine.dir, machine.ip, GROUP, self.data[0].ip, DATA_PORT,
                GROUP, PASSWORD, GROUP, DOWN_AFTER_MS, GROUP,
            )
        )

    def start_sentinel(self, machine):
        if self.vedette:
            machine.spawn(machine.name, [VEDETTE, "sentinel", "--config", self.conf(machine)], True)
        else:
            machine.spawn(machine.name, ["redis-server", self.conf(machine), "--sentinel"], True)

    def host(self):
        """Where the watcher is reached: it stands on the bridge and is never cut off."""
        return self.lab.net + ".1"

    def start_clients(self):
        for machine in self.clients:
            history = os.path.join(self.lab.dir, machine.name + ".history")
            self.histories.append(history)
            argv = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py"), machine.name, history]
            argv.append("%s:%d" % self.address(self.data[0]))
            machine.spawn(machine.name, argv + ["%s:%d" % self.address(m) for m in self.sentinels])

    def end_clients(self):
        """All records of all clients."""
        for machine in self.clients:
            machine.processes[machine.name].stdin.close()
        records = []
        for machine, history in zip(self.clients, self.histories):
            if machine.processes[machine.name].wait(60):
                raise RuntimeError("the clients of %s failed, see its log" % machine.name)
            with open(history) as file:
                records += [json.loads(line) for line in file]
        return records

    def streaming(self, machine):
        found = info(self.address(machine), "replication")
        lines = [value for key, value in found.items() if key.startswith("slave") and "state=online" in value]
        return len(lines) if found.get("role") == "master" else -1

    def settled(self):
        for machine in self.sentinels:
            found = pairs(ask(self.address(machine), "SENTINEL", "MASTER", GROUP))
            if (found.get("num-slaves"), found.get("num-other-sentinels"), found.get("flags")) != ("2", "2", "master"):
                return False
        return True

    def published(self):
        """What the sentinels say now: a list of (sentinel, address, epoch) of those that answer. The address is
        the one clients are given; Redis Sentinel's MASTER shows the old one under the new epoch for a while."""
        said = []
        for machine in self.sentinels:
            try:
                connection = Connection(self.address(machine), 0.25)
            except OSError:
                continue
            try:
                connection.send("SENTINEL", "MASTER", GROUP)
                connection.send("SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP)
                found, address = pairs(connection.reply()), connection.reply()
                if found and address:
                    said.append((machine.name, "%s:%s" % tuple(address), int(found.get("config-epoch", 0))))
            except (OSError, ReplyError, ValueError):
                pass
            finally:
                connection.close()
        return said

    def master(self):
        """The machine of the master that most sentinels name."""
        names = []

        def named():
            names[:] = [address for _, address, _ in self.published()]
            return names

        wait_for("a sentinel names a master", named, 15)
        address = max(sorted(set(names)), key=names.count)
        return next(machine for machine in self.data if "%s:%d" % self.address(machine) == address)

    def leader(self):
        """The machine of the sentinel that leads; Redis Sentinel has none between failovers: its first."""
        for machine in self.sentinels if self.vedette else []:
            number = json.loads(ask(self.address(machine), "SENTINEL", "STATUS", timeout=2) or "{}").get("raft_leader")
            if number:
                return self.sentinels[int(number) - 1]
        return self.sentinels[0]

    def converged(self):
        """Everybody is up, names one master, and both replicas stream from it."""
        said = self.published()
        if len(said) != 3 or len({address for _, address, _ in said}) != 1:
            return False
        master = self.master()
        if self.streaming(master) != 2:
            return False
        links = [info(self.address(m), "replication") for m in self.data if m is not master]
        return all(link.get("master_link_status") == "up" and link.get("master_host") == master.ip for link in links)

    def holds(self):
        """What the master holds in the end, as checks.py wants it."""
        connection = Connection(self.address(self.master()), 20, PASSWORD)
        try:
            keys, cursor = set(), "0"
            while True:
                cursor, some = connection.call("SCAN", cursor, "COUNT", 1000)
                keys.update(some)
                if cursor == "0":
                    break
            return {
                "keys": keys,
                "lists": {key: connection.call("LRANGE", key, 0, -1) for key in keys if key.startswith("list:")},
                "counters": {key: connection.call("GET", key) for key in keys if key.startswith("counter:")},
            }
        finally:
            connection.close()


class Watcher:
    """Samples what the sentinels publish, subscribes to their events, and receives their webhooks."""

    def __init__(self, fleet):
        self.fleet, self.samples, self.events, self.received = fleet, [], [], []
        self.over = threading.Event()
        watcher = self

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                watcher.received.append((self.headers.get("webhook-id") or json.loads(body)["id"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((fleet.host(), HOOK_PORT), Receiver)
        self.threads = [threading.Thread(target=self.server.serve_forever), threading.Thread(target=self.sample)]
        self.threads += [threading.Thread(target=self.subscribe, args=(machine,)) for machine in fleet.sentinels]

    def start(self):
        for thread in self.threads:
            thread.start()

    def sample(self):
        while not self.over.wait(0.1):
            for sentinel, address, epoch in self.fleet.published():
                self.samples.append((time.monotonic(), sentinel, address, epoch))

    def subscribe(self, machine):
        while not self.over.wait(0.2):
            try:
                connection = Connection(self.fleet.address(machine), 1)
                connection.call("PSUBSCRIBE", "*")
            except (OSError, ReplyError):
                continue
            try:
                # Silence is no failure; a second without a byte only lets the end be noticed.
                while not self.over.is_set():
                    try:
                        if not connection.file.peek(1):
                            break
                    except TimeoutError:
                        connection.file = connection.socket.makefile("rb")
                        continue
                    message = connection.reply()
                    self.events.append((time.monotonic(), machine.name, message[2], message[3]))
            except (OSError, ReplyError, ValueError):
                pass
            connection.close()

    def stop(self):
        self.over.set()
        self.server.shutdown()
        for thread in self.threads:
            thread.join()
        self.server.server_close()


__all__ = ["Fleet", "Watcher", "SYSTEMS", "VEDETTE", "ROOT", "DOWN_AFTER_MS", "signal"]
