"""One RESP2 connection with a deadline on every call, waiting for a condition, and how a result is put into a
document. Shared by the benches and by `tests/chaos`; Python's standard library only."""

import socket
import time


class ReplyError(Exception):
    """The server answered with an error."""


class Connection:
    def __init__(self, address, timeout, password=None):
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        if password:
            try:
                self.call("AUTH", password)
            except BaseException:
                self.close()
                raise

    def send(self, *words):
        words = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def call(self, *words):
        self.send(*words)
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
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return None if rest == "-1" else [self.reply() for _ in range(int(rest))]
        raise ConnectionError("not RESP2: %r" % line)

    def close(self):
        self.file.close()
        self.socket.close()


def ask(address, *words, timeout=0.5, password=None):
    """One question on a connection of its own; None when there is no answer."""
    try:
        connection = Connection(address, timeout, password)
    except (OSError, ReplyError):
        return None
    try:
        return connection.call(*words)
    except (OSError, ReplyError, ValueError):
        return None
    finally:
        connection.close()


def pairs(reply):
    return dict(zip(reply[::2], reply[1::2])) if reply else {}


def info(address, section, password=None):
    text = ask(address, "INFO", section, password=password) or ""
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def write_between(path, mark, text):
    """Replaces what stands between `<!-- mark:begin -->` and `<!-- mark:end -->`."""
    with open(path) as file:
        whole = file.read()
    begin, end = "<!-- %s:begin -->" % mark, "<!-- %s:end -->" % mark
    head, rest = whole.split(begin, 1)
    with open(path, "w") as file:
        file.write(head + begin + "\n" + text + end + rest.split(end, 1)[1])


def wait_for(what, condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError("not within %s s: %s" % (seconds, what))
