"""Machines to break: network namespaces on a bridge, or, without root, addresses of loopback.

The caller re-executes itself in a network and mount namespace of its own first (`enclosed`), so everything
made here vanishes with that process however it ends. Knows processes and cables, not what they are for.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def enclosed():
    """True inside namespaces of our own; re-executes into them when root; False where that is impossible."""
    if os.environ.get("CHAOS_ENCLOSED"):
        return os.environ["CHAOS_ENCLOSED"] == "yes"
    tools = all(shutil.which(tool) for tool in ("unshare", "ip", "nft", "mount"))
    possible = os.geteuid() == 0 and tools and not os.environ.get("CHAOS_LOOPBACK")
    if possible:
        trial = "ip link set lo up && mount -t tmpfs none /run/netns && ip link add va type veth peer name vb && nft add table bridge trial && unshare --time --boottime 1 true"
        os.makedirs("/run/netns", exist_ok=True)
        possible = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", trial], capture_output=True).returncode == 0
    os.environ["CHAOS_ENCLOSED"] = "yes" if possible else "no"
    if possible:
        inside = 'mount -t tmpfs none /run/netns && ip link set lo up && exec "$@"'
        os.execvp("unshare", ["unshare", "--net", "--mount", "sh", "-c", inside, "sh", sys.executable] + sys.argv)
    return False


def command(*words, text=None, check=True):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(words), done.stderr.strip()))
    return done


def nft(text):
    command("nft", "-f", "-", text=text)


def refusal(senders, receivers, chance=""):
    """What stands on the bridge between them. One command a fault, so that it comes and goes at one moment
    on a busy machine too."""
    sides = [", ".join(machine.ip for machine in side) for side in (senders, receivers)]
    return "add rule bridge chaos refuse ip saddr { %s } ip daddr { %s } %sdrop\n" % (sides[0], sides[1], chance)


class Machine:
    """One name, one address, its cable and its processes."""

    def __init__(self, lab, name, number):
        self.lab, self.name, self.number, self.processes = lab, name, number, {}
        self.ip = "%s.%d" % (lab.net, number)
        self.dir = os.path.join(lab.dir, name)
        os.mkdir(self.dir)
        if lab.real:
            self.cable()

    def cable(self):
        command("ip", "netns", "add", self.name)
        command("ip", "link", "add", "v" + self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        command("ip", "link", "set", "v" + self.name, "master", "br0", "up")
        command("ip", "-n", self.name, "addr", "add", self.ip + "/24", "dev", "eth0")
        command("ip", "-n", self.name, "link", "set", "eth0", "up")
        command("ip", "-n", self.name, "link", "set", "lo", "up")

    def deaf_to(self, others, percent=100):
        """Drops that part of what arrives from the others; a one-way fault."""
        chance = "" if percent >= 100 else "numgen random mod 100 < %d " % percent
        nft(refusal(others, [self], chance))

    def small_disk(self, megabytes):
        command("mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "none", self.dir)

    def spawn(self, name, argv, own_clock=False):
        """`own_clock`: it started to count when a machine of its own was switched on, as real ones do."""
        if self.lab.real and own_clock:
            since = str(self.number * 86_400)
            argv = ["unshare", "--time", "--monotonic", since, "--boottime", since] + argv
        if self.lab.real:
            argv = ["ip", "netns", "exec", self.name] + argv
        environment = dict(os.environ)
        if self.lab.disk:
            environment.update(LD_PRELOAD=self.lab.disk, CHAOS_DISK=self.disk_orders())
        with open(os.path.join(self.lab.dir, "%s.log" % name), "ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=self.dir, env=environment)
        self.processes[name] = process
        return process

    def disk_orders(self):
        return os.path.join(self.lab.dir, self.name + ".disk")

    def disk(self, order=None):
        """What its disk does at a sync from now on: "delay MS", "error", or its work."""
        if order is None:
            os.unlink(self.disk_orders())
            return
        with open(self.disk_orders() + ".new", "w") as file:
            file.write(order)
        os.rename(self.disk_orders() + ".new", self.disk_orders())

    def signal(self, number):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(number)
                if number == signal.SIGKILL:
                    process.wait()

    def empty(self):
        for entry in os.listdir(self.dir):
            path = os.path.join(self.dir, entry)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


class Lab:
    """All machines of one run."""

    def __init__(self, real):
        self.real = real
        self.dir = tempfile.mkdtemp(prefix="chaos-")
        # Every 127.x.y.z is ours on loopback; a network of chance keeps runs side by side apart.
        self.net = "10.77.0" if real else "127.%d.%d" % (random.randint(1, 254), random.randint(0, 254))
        self.machines = {}
        self.disk = self.failing_disk() if shutil.which("cc") else None
        if real:
            command("ip", "link", "add", "br0", "type", "bridge")
            command("ip", "addr", "add", self.net + ".1/24", "dev", "br0")
            command("ip", "link", "set", "br0", "up")
            nft(
                "add table bridge chaos\nadd chain bridge chaos pass { type filter hook forward priority 0; }\n"
                "add chain bridge chaos refuse\nadd rule bridge chaos pass jump refuse\nflush chain bridge chaos refuse\n"
            )

    def failing_disk(self):
        library = os.path.join(self.dir, "disk.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "disk.c")
        command("cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl")
        return library

    def add(self, name, number):
        self.machines[name] = Machine(self, name, number)
        return self.machines[name]

    def cut(self, some, others):
        """Nothing passes between the two sides."""
        nft(refusal(some, others) + refusal(others, some))

    def heal(self):
        if self.real:
            nft("flush chain bridge chaos refuse\n")

    def close(self, keep=False):
        for machine in self.machines.values():
            machine.signal(signal.SIGCONT)
            machine.signal(signal.SIGKILL)
        if self.real:
            for machine in self.machines.values():
                # The namespace goes when its last process has; the cable at once.
                command("ip", "link", "del", "v" + machine.name, check=False)
                command("ip", "netns", "del", machine.name, check=False)
                command("umount", "-l", machine.dir, check=False)
            command("ip", "link", "del", "br0", check=False)
        if keep:
            print("kept:", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
