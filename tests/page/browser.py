"""A headless Chromium driven through its debugging pipe: no port, no library, one empty profile."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
)
PATIENCE_S = 60


class Browser:
    def __init__(self):
        program = shutil.which("chromium")
        if program is None:
            sys.exit("chromium is not installed; the Debian package is 'chromium'")
        self.profile = tempfile.mkdtemp(prefix="vedette-chromium-")
        read_by_it, self.to = os.pipe()
        self.heard, written_by_it = os.pipe()
        script = f"exec {program} {FLAGS} --remote-debugging-pipe --user-data-dir={self.profile} 3<&{read_by_it} 4>&{written_by_it}"
        self.process = subprocess.Popen(
            ["bash", "-c", script],
            pass_fds=(read_by_it, written_by_it),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_by_it)
        os.close(written_by_it)
        self.buffer = b""
        self.next_id = 0
        self.session = None
        self.complaints = []
        self.loaded = 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "Network"):
            self.ask(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.to)
        os.close(self.heard)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.receive(deadline, method)
            if answer.get("id") == self.next_id:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]

    def receive(self, deadline, what):
        while b"\0" not in self.buffer:
            if not select.select([self.heard], [], [], max(0, deadline - time.monotonic()))[0]:
                sys.exit(f"chromium said nothing for {PATIENCE_S} s after {what}")
            chunk = os.read(self.heard, 1 << 20)
            if not chunk:
                sys.exit(f"chromium ended during {what}")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(line)
        self.notice(message.get("method"), message.get("params", {}))
        return message

    def notice(self, method, params):
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Page.loadEventFired":
            self.loaded += 1

    def open(self, url):
        before = self.loaded
        self.ask("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE_S
        while self.loaded == before:
            self.receive(deadline, f"opening {url}")

    def run(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            sys.exit(f"{expression}: {json.dumps(result['exceptionDetails'])[:800]}")
        return result["result"].get("value")

    def until(self, expression):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            value = self.run(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                page = self.run("document.body.innerText")
                sys.exit(f"never true: {expression}\nthe page says:\n{page}")
            time.sleep(0.05)

    def size(self, width, height, mobile=False):
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if mobile else 1,
            mobile=mobile,
        )

    def scheme(self, name):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, path, whole=True):
        picture = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))
