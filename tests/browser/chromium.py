"""A headless chromium, driven through its DevTools protocol; nothing beyond the packages of the book is needed."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tornado.websocket import WebSocketClientConnection, websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# No other host can be reached: a request to one fails, and is seen.
CLOSED = ("--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>")
QUIET = (
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
)
# What a page says on the console when it means that something is wrong.
FAILED_CALLS = ("error", "assert")

SETTLED = """
new Promise(done => {
  const wait = () => document.readyState === "complete" ? done() : setTimeout(wait, 20);
  wait();
}).then(() => window.MathJax?.startup?.promise)
  .then(() => document.fonts.ready)
  .then(() => new Promise(done => setTimeout(done, 150)))
"""


def find() -> str | None:
    """The path of a chromium on this machine; None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a headless chromium, and what went wrong on it."""

    def __init__(self, program: str):
        self._profile = tempfile.TemporaryDirectory(prefix="simprune-chromium-", ignore_cleanup_errors=True)
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--allow-file-access-from-files")
        places = (f"--user-data-dir={self._profile.name}", "--remote-debugging-port=0", "about:blank")
        command = [program, *flags, *CLOSED, *QUIET, *places]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._loop = asyncio.new_event_loop()
        self._number, self.problems = 0, []
        try:
            self._socket = self._loop.run_until_complete(self._connect(self._page_address()))
        except BaseException:
            self._process.terminate()
            raise
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    @staticmethod
    async def _connect(address: str) -> WebSocketClientConnection:
        return await websocket_connect(address, max_message_size=2**28)

    def _page_address(self) -> str:
        port_file = Path(self._profile.name) / "DevToolsActivePort"
        for _ in range(300):
            if port_file.exists() and (lines := port_file.read_text().splitlines()):
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                targets = json.load(opener.open(f"http://127.0.0.1:{lines[0]}/json/list"))
                pages = [target for target in targets if target["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("chromium did not start")

    def close(self) -> None:
        self._socket.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
        self._process.terminate()
        self._process.wait()
        self._profile.cleanup()

    def call(self, method: str, **parameters) -> dict:
        """Call a method of the protocol and give its result; what happens meanwhile is looked at as it comes."""
        self._number += 1
        message = json.dumps({"id": self._number, "method": method, "params": parameters})
        return self._loop.run_until_complete(self._exchange(message, self._number))

    async def _exchange(self, message: str, number: int) -> dict:
        await self._socket.write_message(message)
        while True:
            text = await asyncio.wait_for(self._socket.read_message(), 60)
            if text is None:
                raise RuntimeError("chromium has gone")
            answer = json.loads(text)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{message[:200]}: {answer['error']['message']}")
                return answer["result"]
            self._look(answer)

    def _look(self, event: dict) -> None:
        """Note what a reader's browser would complain of."""
        kind, facts = event.get("method"), event.get("params", {})
        if kind == "Runtime.exceptionThrown":
            details = facts["exceptionDetails"]
            self.problems.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
        elif kind == "Runtime.consoleAPICalled" and facts["type"] in FAILED_CALLS:
            said = " ".join(str(argument.get("value", argument.get("description"))) for argument in facts["args"])
            self.problems.append(f"console: {said}")
        elif kind == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.problems.append(f"log: {facts['entry']['text']} {facts['entry'].get('url', '')}")
        elif kind == "Network.requestWillBeSent":
            address = facts["request"]["url"]
            if urlsplit(address).scheme not in ("file", "data", "blob", "about"):
                self.problems.append(f"foreign request: {address}")
        elif kind == "Network.loadingFailed" and not facts.get("canceled"):
            self.problems.append(f"failed request: {facts['errorText']}")

    def open(self, address: str, *, width: int = 1280, height: int = 900) -> None:
        """Go to a page and wait until it is loaded, its formulas are set and nothing moves."""
        self.problems.clear()
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Page.navigate", url=address)
        try:
            self.run(SETTLED)
        except RuntimeError:  # the page has sent us on to another one
            self.run(SETTLED)

    def run(self, script: str) -> object:
        """The value of a JavaScript expression in the page; of a promise, what it comes to."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key, as a reader would."""
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path: Path, *, height: int | None = None) -> None:
        """Save what the page looks like as a PNG: all of it, or its first `height` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        Path(path).write_bytes(base64.b64decode(shot["data"]))
