"""The faults: one function each, `(world) -> None`. They act on machines and wait; they judge nothing.

A row names the function, how many failovers are right (None: any number), whether it needs cables that can be
cut (namespaces), what is told in the table, and which folder or program it needs besides."""

import os
import signal
import time
from collections import namedtuple

from machines import command
from wire import PASSWORD, Connection, ReplyError, wait_for

Scenario = namedtuple("Scenario", "act failovers cables told needs")
SCENARIOS = {}


def scenario(name, told, failovers, cables=False, needs=None):
    def keep(act):
        SCENARIOS[name] = Scenario(act, failovers, cables, told, needs)
        return act

    return keep


class World:
    """A fleet under fault, and when the faults came."""

    def __init__(self, fleet):
        self.fleet, self.lab, self.faults = fleet, fleet.lab, []

    def fault(self):
        self.faults.append(time.monotonic())

    def others(self, *machines):
        """Everybody else, clients too."""
        return [machine for machine in self.lab.machines.values() if machine not in machines]

    def moved(self, old, seconds=20):
        """Waits until another master is published; some faults bring none, so it is no error when not."""
        try:
            wait_for("another master", lambda: any(a != "%s:6379" % old.ip for _, a, _ in self.fleet.published()), seconds)
        except TimeoutError:
            pass


@scenario("none", "no fault at all", 0)
def none(world):
    world.fault()
    time.sleep(10)


@scenario("kill-master", "the master is killed, and started again 8 s later", 1)
def kill_master(world):
    master = world.fleet.master()
    world.fault()
    master.signal(signal.SIGKILL)
    time.sleep(8)
    world.fleet.start_data(master)


@scenario("hang-master", "the master stands still for 10 s, with clients that still talk to it, and goes on", 1)
def hang_master(world):
    master = world.fleet.master()
    world.fault()
    master.signal(signal.SIGSTOP)
    time.sleep(10)
    master.signal(signal.SIGCONT)


@scenario("short-hang", "the master stands still for half of down-after", 0)
def short_hang(world):
    for _ in range(3):
        master = world.fleet.master()
        world.fault()
        master.signal(signal.SIGSTOP)
        time.sleep(1)
        master.signal(signal.SIGCONT)
        time.sleep(2)


@scenario("kill-master-and-leader", "the master and the sentinel that leads are killed together", 1)
def kill_both(world):
    master, leader = world.fleet.master(), world.fleet.leader()
    world.fault()
    master.signal(signal.SIGKILL)
    leader.signal(signal.SIGKILL)
    time.sleep(10)
    world.fleet.start_data(master)
    world.fleet.start_sentinel(leader)


@scenario("hang-leader", "the sentinel that leads stands still for 5 s, three times", 0)
def hang_leader(world):
    for _ in range(3):
        leader = world.fleet.leader()
        world.fault()
        leader.signal(signal.SIGSTOP)
        time.sleep(5)
        leader.signal(signal.SIGCONT)
        time.sleep(1)


@scenario("minority", "master, one sentinel and one machine of clients are cut off from the rest for 15 s", 1, True)
def minority(world):
    fleet = world.fleet
    lost = [fleet.master(), fleet.sentinels[0], fleet.clients[1]]
    world.fault()
    world.lab.cut(lost, world.others(*lost))
    time.sleep(15)
    world.lab.heal()


@scenario("data-majority", "master, one replica, one sentinel and clients are cut off from one replica and two sentinels for 15 s", None, True)
def data_majority(world):
    fleet, master = world.fleet, world.fleet.master()
    replica = next(machine for machine in fleet.data if machine is not master)
    lost = [master, replica, fleet.sentinels[0], fleet.clients[1]]
    world.fault()
    world.lab.cut(lost, world.others(*lost))
    time.sleep(15)
    world.lab.heal()


@scenario("no-replicas", "the master is cut off from its replicas only, for 12 s", 0, True)
def no_replicas(world):
    master = world.fleet.master()
    world.fault()
    world.lab.cut([master], [machine for machine in world.fleet.data if machine is not master])
    time.sleep(12)
    world.lab.heal()


@scenario("sentinels-blind", "no sentinel reaches the master for 12 s; replicas and clients do", 0, True)
def sentinels_blind(world):
    world.fault()
    world.lab.cut([world.fleet.master()], world.fleet.sentinels)
    time.sleep(12)
    world.lab.heal()


@scenario("deaf-master", "the master hears nobody but is heard (one way), for 12 s", None, True)
def deaf_master(world):
    master = world.fleet.master()
    world.fault()
    master.deaf_to(world.others(master))
    time.sleep(12)
    world.lab.heal()


@scenario("loss", "one packet of ten that reaches master or replicas is lost, for 15 s", 0, True)
def loss(world):
    world.fault()
    for machine in world.fleet.data:
        machine.deaf_to(world.others(machine), 10)
    time.sleep(15)
    world.lab.heal()


@scenario("sentinel-bridge", "of the three sentinels two do not reach each other, then one hears nobody; 8 s each", 0, True)
def sentinel_bridge(world):
    first, second, third = world.fleet.sentinels
    world.fault()
    world.lab.cut([first], [third])
    time.sleep(8)
    world.lab.heal()
    second.deaf_to([first, third])
    time.sleep(8)
    world.lab.heal()


def flap(world, times, down_s, up_s):
    master = world.fleet.master()
    world.fault()
    for _ in range(times):
        world.lab.cut([master], world.others(master))
        time.sleep(down_s)
        world.lab.heal()
        time.sleep(up_s)


@scenario("flapping", "the master's cable fails for 0.4 s of every 0.8 s, for 12 s", None, True)
def flapping(world):
    flap(world, 15, 0.4, 0.4)


@scenario("long-flaps", "the master's cable fails for 1.6 s of every 2 s, for 20 s", None, True)
def long_flaps(world):
    flap(world, 10, 1.6, 0.4)


@scenario("restart-empty", "the master dies, loses its disk and is back at once", None)
def restart_empty(world):
    master = world.fleet.master()
    world.fault()
    master.signal(signal.SIGKILL)
    master.empty()
    world.fleet.start_data(master)
    time.sleep(10)


@scenario("rolling-restart", "one data server after the other is ended with SIGTERM and started again", None)
def rolling_restart(world):
    for machine in world.fleet.data:
        world.fault()
        machine.signal(signal.SIGTERM)
        wait_for("%s ends" % machine.name, lambda: all(p.poll() is not None for p in machine.processes.values()), 20)
        world.fleet.start_data(machine)
        time.sleep(5)


@scenario("full-disk", "the disk of the master is full for 12 s", None, True)
def full_disk(world):
    master = world.fleet.master()
    ballast = os.path.join(master.dir, "ballast")
    world.fault()
    try:
        with open(ballast, "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        pass
    time.sleep(12)
    os.unlink(ballast)
    # A stock server that follows with a full disk ends itself (MISCONF in its stream); a service manager
    # would have it back by now.
    if master.processes[master.name].poll() is not None:
        world.fleet.start_data(master)


@scenario("slow-disk", "every sync of the master's disk takes 2 s, for 12 s", 0, needs="cc")
def slow_disk(world):
    master = world.fleet.master()
    world.fault()
    master.disk("delay 2000")
    time.sleep(12)
    master.disk()


@scenario("failing-disk", "every sync of the master's disk fails, for 12 s", None, needs="cc")
def failing_disk(world):
    master = world.fleet.master()
    world.fault()
    master.disk("error")
    time.sleep(12)
    master.disk()
    if master.processes[master.name].poll() is not None:
        world.fleet.start_data(master)


MEMORY = "/sys/fs/cgroup/memory"


@scenario("out-of-memory", "the kernel kills the master for want of memory, while large values are written; it is started again 8 s later", 1, needs=MEMORY)
def out_of_memory(world):
    master = world.fleet.master()
    process = master.processes[master.name]
    group = os.path.join(MEMORY, "chaos-%d" % process.pid)
    os.mkdir(group)
    try:
        for name, value in (("memory.limit_in_bytes", "16M"), ("cgroup.procs", str(process.pid))):
            with open(os.path.join(group, name), "w") as file:
                file.write(value)
        world.fault()
        connection = Connection(world.fleet.address(master), 30, PASSWORD)
        try:
            for number in range(60):
                connection.call("SET", "large:%d" % (number % 20), "x" * 1_000_000)
        except (OSError, ReplyError):
            pass
        connection.close()
        wait_for("the kernel ends it", lambda: process.poll() is not None, 30)
    finally:
        if process.poll() is None:
            master.signal(signal.SIGKILL)
        os.rmdir(group)
    time.sleep(8)
    world.fleet.start_data(master)


@scenario("no-descriptors", "the master may open no further file or socket, for 10 s", 0)
def no_descriptors(world):
    master = world.fleet.master()
    process = master.processes[master.name]
    world.fault()
    used = len(os.listdir("/proc/%d/fd" % process.pid))
    command("prlimit", "--pid", str(process.pid), "--nofile=%d:" % used)
    time.sleep(10)
    command("prlimit", "--pid", str(process.pid), "--nofile=1024:")


@scenario("power-cut", "everything dies at once; data servers return first, sentinels 4 s later", None)
def power_cut(world):
    fleet = world.fleet
    world.fault()
    for machine in fleet.data + fleet.sentinels:
        machine.signal(signal.SIGKILL)
    for machine in fleet.data:
        fleet.start_data(machine)
    time.sleep(4)
    for machine in fleet.sentinels:
        fleet.start_sentinel(machine)
    time.sleep(6)
