"""Judges histories, and sees nothing but histories: no server, no log, no clock. See client.py for a record."""

import bisect

WRITES = ("set", "setw", "stubborn")
INFINITE = float("inf")


def losses(history, final):
    """(acknowledged, lost, acknowledged with WAIT, of those lost). `final`: what the last master holds."""
    acked = [record for record in history if record[0] in WRITES and record[5] == "ok"]
    lost = [record for record in acked if record[1] not in final["keys"]]
    lists = {key: set(items) for key, items in final["lists"].items()}
    pushed = [record for record in history if record[0] == "push" and record[5] == "ok"]
    lost += [record for record in pushed if str(record[2]) not in lists.get(record[1], ())]
    acked += pushed
    waited = [record for record in acked if record[7]]
    counted = [record for record in history if record[0] == "incr" and record[7]]
    # A counter that is below what a replica confirmed has lost so many.
    behind = {}
    for record in counted:
        behind[record[1]] = max(behind.get(record[1], 0), record[2] - int(final["counters"].get(record[1]) or 0))
    acked += [record for record in history if record[0] == "incr" and record[5] == "ok"]
    return len(acked), len(lost), len(waited) + len(counted), sum(record[7] for record in lost) + sum(behind.values())


def list_faults(history, final):
    """Acknowledged elements that stand twice, or before one that the same client appended earlier."""
    acked = {(record[1], str(record[2])) for record in history if record[0] == "push" and record[5] == "ok"}
    faults = 0
    for key, items in final["lists"].items():
        numbers = [int(item) for item in items if (key, item) in acked]
        faults += sum(1 for before, after in zip(numbers, numbers[1:]) if after <= before)
    return faults


def linearizable(records):
    """Whether one register's history is linearizable. Every value is written once, so reads name their write
    and the question needs no search (Gibbons and Korach, 1997): the operations of one value form a zone;
    no two forward zones may overlap, and no backward zone may lie inside a forward one."""
    read = {record[2] for record in records if record[0] == "read" and record[5] == "ok"}
    zones = {"": [-INFINITE, -INFINITE]}
    begun, over = {"": -INFINITE}, {}
    for kind, _, value, invoked, returned, outcome, _, _ in records:
        if kind == "write":
            if outcome != "ok":
                if value not in read:
                    continue
                returned = INFINITE
            begun[value] = invoked
        elif outcome != "ok":
            continue
        else:
            over[value] = min(over.get(value, INFINITE), returned)
        zone = zones.setdefault(value, [INFINITE, -INFINITE])
        zone[0], zone[1] = min(zone[0], returned), max(zone[1], invoked)
    for value, returned in over.items():
        # Read out of nothing, or before it was written.
        if value not in begun or returned < begun[value]:
            return False
    forward = sorted((first, last) for first, last in zones.values() if first < last)
    for (_, end), (start, _) in zip(forward, forward[1:]):
        if start < end:
            return False
    starts = [start for start, _ in forward]
    for finish, start in zones.values():
        if finish >= start:
            place = bisect.bisect_left(starts, start) - 1
            if place >= 0 and finish < forward[place][1]:
                return False
    return True


def registers(history):
    """(registers, of those not linearizable, of those not even when only writes that a replica confirmed, and
    reads of them, are looked at). A linearizable history stays so without a write and all that read it."""
    by_key, confirmed = {}, {""}
    for record in history:
        if record[0] in ("read", "write"):
            by_key.setdefault(record[1], []).append(record)
        if record[0] == "write" and record[5] == "ok" and record[7]:
            confirmed.add(record[2])
    sure = [[record for record in records if record[2] in confirmed] for records in by_key.values()]
    return len(by_key), sum(not linearizable(records) for records in by_key.values()), sum(not linearizable(records) for records in sure)


def lock_overlaps(history, ttl_s=3.0):
    """How often somebody took the lock, by a replica's word, while another held it and its time had not run out."""
    released = {record[2]: record[3] for record in history if record[0] == "unlock"}
    held = []
    for _, _, token, invoked, returned, _, _, waited in (r for r in history if r[0] == "lock" and r[7]):
        # Surely its own from the answer until it began to give it back, or until the time counted from before asking.
        held.append((returned, min(released.get(token, INFINITE), invoked + ttl_s)))
    held = sorted(span for span in held if span[0] < span[1])
    return sum(1 for (_, end), (start, _) in zip(held, held[1:]) if start < end)


def reigns(samples):
    """Who was published, and since when: [(time, address)], by the highest epoch that anybody showed."""
    found, highest = [], -1
    for when, _, address, epoch in sorted(samples):
        if epoch >= highest and (not found or found[-1][1] != address):
            if epoch > highest or not found:
                found.append((when, address))
        highest = max(highest, epoch)
    return found


def shared_epochs(samples):
    """Epochs in which sentinels published more than one master."""
    named = {}
    for _, _, address, epoch in samples:
        named.setdefault(epoch, set()).add(address)
    return sum(len(addresses) > 1 for addresses in named.values())


def old_acks(history, samples, faults):
    """Writes asked for after the fault and acknowledged by another server than the new master, after the new
    one's first acknowledgement. What was under way when the fault came is left out, and what was under way at
    that first acknowledgement and came within `late_s` of it: such an answer may have been given before, and only
    have travelled, or waited for a replica's word or for the client's processor."""
    late_s = 0.6
    acked = sorted((r[4], r[3], r[6]) for r in history if r[5] == "ok" and r[0] not in ("read", "unlock"))
    terms, total = reigns(samples), 0
    for index in range(1, len(terms)):
        begun, master = terms[index]
        previous = terms[index - 1][0]
        until = terms[index + 1][0] - 1 if index + 1 < len(terms) else INFINITE
        first = next((done for done, _, server in acked if server == master and done > max(previous, begun - 3)), None)
        if first is None:
            continue
        fault = max((when for when in faults if when < first), default=begun)
        # From the next fault on another reign may have begun that no sample shows yet.
        until = min([until] + [when for when in faults if when > first])
        proven = [when for when, asked, server in acked if server != master and fault < asked and when < until
                  and (asked > first or when > first + late_s)]
        total += len(proven)
    return total


def outage_s(history, side, begin, end):
    """The longest time without an acknowledged write among one machine's clients."""
    times = sorted(r[4] for r in history if r[5] == "ok" and r[0] in ("set", "setw") and (":%s:" % side) in r[1])
    times = [begin] + [when for when in times if begin < when < end] + [end]
    return max(after - before for before, after in zip(times, times[1:]))


def told_twice(events):
    """Switches of the master that one sentinel told twice running to the same subscriber."""
    last, twice = {}, 0
    for _, sentinel, channel, payload in events:
        if channel == "+switch-master":
            twice += last.get(sentinel) == payload
            last[sentinel] = payload
    return twice


def webhook_faults(events, received):
    """Ids that came with two bodies, and switches that a sentinel told its subscribers and no webhook heard."""
    bodies, faults = {}, 0
    for identity, body in received:
        faults += bodies.setdefault(identity, body) != body
    told = {payload for _, _, channel, payload in events if channel == "+switch-master"}
    return faults + max(0, len(told) - sum('"+switch-master"' in body for body in bodies.values()))
