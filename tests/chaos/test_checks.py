"""The judges judged: each finds what was planted, and finds nothing in an honest history."""

import unittest

import checks


def record(kind, key, value, invoked, returned, outcome="ok", server="A", waited=False):
    return [kind, key, value, invoked, returned, outcome, server, waited]


class Losses(unittest.TestCase):
    def test_counts_what_is_missing_and_what_a_replica_had_confirmed(self):
        history = [
            record("set", "set:c1:1", 1, 0, 1), record("setw", "setw:c1:1", 1, 0, 1, waited=True),
            record("set", "set:c1:2", 2, 1, 2, "maybe"), record("push", "list:c1", 1, 0, 1, waited=True),
            record("incr", "counter:c1", 7, 0, 1, waited=True),
        ]
        whole = {"keys": {"set:c1:1", "setw:c1:1"}, "lists": {"list:c1": ["1"]}, "counters": {"counter:c1": "7"}}
        self.assertEqual(checks.losses(history, whole), (4, 0, 3, 0))
        self.assertEqual(checks.losses(history, {"keys": {"setw:c1:1"}, "lists": {}, "counters": {"counter:c1": "5"}}), (4, 2, 3, 3))

    def test_lists_keep_order_and_hold_nothing_twice(self):
        history = [record("push", "list:c1", number, 0, 1) for number in (1, 2, 3)]
        self.assertEqual(checks.list_faults(history, {"lists": {"list:c1": ["1", "9", "2", "3"]}}), 0)
        self.assertEqual(checks.list_faults(history, {"lists": {"list:c1": ["1", "3", "2", "2"]}}), 2)


class Registers(unittest.TestCase):
    def test_honest_histories(self):
        write, read = lambda *words: record("write", "r", *words), lambda *words: record("read", "r", *words)
        self.assertTrue(checks.linearizable([read("", 0, 1), write("a", 1, 4), read("", 2, 3), read("a", 3, 5), write("b", 6, 7), read("b", 8, 9)]))
        # Nobody knows whether it happened, until it is read much later.
        self.assertTrue(checks.linearizable([write("a", 1, 2, "maybe"), write("b", 3, 4), read("b", 5, 6), read("a", 7, 8)]))

    def test_dishonest_ones(self):
        write, read = lambda *words: record("write", "r", *words), lambda *words: record("read", "r", *words)
        self.assertFalse(checks.linearizable([write("a", 1, 2), read("", 3, 4)]), "a write is forgotten")
        self.assertFalse(checks.linearizable([write("a", 1, 2), write("b", 3, 4), read("a", 5, 6)]), "an old value returns")
        self.assertFalse(checks.linearizable([read("a", 0, 1), write("a", 2, 3)]), "read before it was written")
        self.assertFalse(checks.linearizable([read("x", 0, 1)]), "read out of nothing")
        back = [write("a", 0, 9), write("b", 0, 9), read("a", 1, 2), read("b", 3, 4), read("a", 5, 6)]
        self.assertFalse(checks.linearizable(back), "two values take turns")


    def test_a_write_that_no_replica_confirmed_may_vanish_and_one_that_was_confirmed_may_not(self):
        first, read = record("write", "r", "a", 0, 1, waited=True), lambda *words: record("read", "r", *words)
        vanished = [first, record("write", "r", "b", 2, 3), read("b", 4, 5), read("a", 6, 7)]
        self.assertEqual(checks.registers(vanished), (1, 1, 0))
        vanished[1][7] = True
        self.assertEqual(checks.registers(vanished), (1, 1, 1))


class Masters(unittest.TestCase):
    samples = [(0, "s1", "A", 1), (10, "s1", "B", 2)]

    def test_an_old_master_that_goes_on(self):
        history = [record("set", "k", 1, 9.5, 9.6, server="B"), record("set", "k", 1, 9.7, 9.8, server="A")]
        self.assertEqual(checks.old_acks(history, self.samples, [5]), 1)
        self.assertEqual(checks.old_acks([record("set", "k", 1, 4.9, 9.8), history[0]], self.samples, [5]), 0, "asked before the fault")
        self.assertEqual(checks.old_acks([record("set", "k", 1, 9.0, 9.5), history[0]], self.samples, [5]), 0, "before the new one began")
        late = [history[0], record("set", "k", 1, 9.7, 9.9, server="A")]
        self.assertEqual(checks.old_acks(late, self.samples, [5, 9.65]), 0, "another fault came: A may be master again")

    def test_samples_that_come_late_are_no_proof(self):
        # A, then B, then A again; that A reigns again is sampled three seconds after it began.
        samples = [(0, "s1", "A", 1), (10, "s1", "B", 2), (23, "s1", "A", 3)]
        history = [record("set", "k", 1, 9.5, 9.6, server="B"), record("set", "k", 1, 20.4, 20.5, server="A")]
        self.assertEqual(checks.old_acks(history, samples, [5, 19]), 0)
        self.assertEqual(checks.old_acks(history + [record("set", "k", 1, 18, 18.1, server="A")], samples, [5, 19]), 1)

    def test_epochs_and_switches(self):
        self.assertEqual(checks.reigns(self.samples), [(0, "A"), (10, "B")])
        self.assertEqual(checks.shared_epochs(self.samples), 0)
        self.assertEqual(checks.shared_epochs(self.samples + [(11, "s2", "A", 2)]), 1)

    def test_locks_and_outages_and_events(self):
        held = [record("lock", "lock", "x", 0, 0.1, waited=True), record("lock", "lock", "y", 1, 1.1, waited=True)]
        self.assertEqual(checks.lock_overlaps(held), 1)
        self.assertEqual(checks.lock_overlaps(held + [record("unlock", "lock", "x", 0.9, 1)]), 0)
        writes = [record("set", "set:c1:%d" % when, 1, when, when) for when in (1, 2, 6)]
        self.assertEqual(checks.outage_s(writes, "c1", 0, 7), 4)
        event = (0, "s1", "+switch-master", "g A B")
        self.assertEqual((checks.told_twice([event]), checks.told_twice([event, event])), (0, 1))
        self.assertEqual(checks.webhook_faults([event], [("1", '{"type":"+switch-master"}')]), 0)
        self.assertEqual(checks.webhook_faults([event], [("1", "a"), ("1", "b")]), 2)


if __name__ == "__main__":
    unittest.main()
