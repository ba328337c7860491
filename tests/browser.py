"""Headless Chromium over its own pipe: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS: Final = 30.0


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Page:
    """One tab, and what it was heard to do."""

    def __init__(self, orders: int, answers: int) -> None:
        self._orders, self._answers = orders, answers
        self._number, self._rest, self._session = 0, b"", None
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            order["sessionId"] = self._session
        os.write(self._orders, json.dumps(order).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return dict(message["result"])
            self.events.append(message)

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            more = os.read(self._answers, 1 << 20) if ready else b""
            if not more:
                raise TimeoutError("the browser does not answer")
            self._rest += more
        one, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(one))

    def open(
        self, address: str, *, width: int = 1200, height: int = 900, dark: bool = False
    ) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of JavaScript; a promise is awaited."""
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        end = time.monotonic() + _SECONDS
        while not self.ask(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.05)

    def measure_paint(self, address: str) -> float:
        """CPU ms of the page's main thread from the navigation to the first contentful paint.

        The time on the clock is that of a quiet machine alone.
        """
        self.open("about:blank")
        self.events.clear()
        categories = ["loading", "toplevel", "blink.user_timing"]
        self.send(
            "Tracing.start",
            transferMode="ReportEvents",
            traceConfig={"includedCategories": categories},
        )
        self.open(address)
        self.wait("performance.getEntriesByName('first-contentful-paint').length")
        self.send("Tracing.end")
        while not any(each["method"] == "Tracing.tracingComplete" for each in self.events):
            self.ask("1")
        traced = [
            each
            for event in self.events
            if event["method"] == "Tracing.dataCollected"
            for each in event["params"]["value"]
        ]
        paint = [each for each in traced if each["name"] == "firstContentfulPaint"][-1]
        begun = max(
            each["ts"]
            for each in traced
            if each["name"] == "navigationStart" and each["ts"] < paint["ts"]
        )
        spent: float = sum(
            each["tdur"] / 1000
            for each in traced
            if each["name"] == "ThreadControllerImpl::RunTask" and "tdur" in each
            if (each["pid"], each["tid"]) == (paint["pid"], paint["tid"])
            if begun <= each["ts"] <= paint["ts"]
        )
        return spent

    def press(self, key: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def draw(self, path: Path, *, height: int | None = None) -> None:
        """Keep a screenshot of the whole page."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": size["width"],
            "height": height or size["height"],
            "scale": 1,
        }
        found = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def list_complaints(self) -> list[str]:
        """Errors and warnings of the console, the policy's among them, and exceptions."""
        kinds = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
        return [json.dumps(each["params"]) for each in self.events if each["method"] in kinds]

    def list_requests(self) -> list[str]:
        return [
            each["params"]["request"]["url"]
            for each in self.events
            if each["method"] == "Network.requestWillBeSent"
        ]


@contextlib.contextmanager
def open_page(program: str, folder: Path) -> Iterator[Page]:
    """A tab of a browser with a profile of its own in `folder`, ended at the end."""
    read_orders, orders = os.pipe()
    answers, write_answers = os.pipe()
    argv = [
        program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-background-networking", "--no-first-run", "--disable-dev-shm-usage",
        f"--user-data-dir={folder}", "--remote-debugging-pipe",
    ]  # fmt: skip
    # the browser reads its orders from 3 and answers on 4, whatever these were here
    script = f'exec 3<&{read_orders} 4>&{write_answers}; exec "$@"'
    browser = subprocess.Popen(
        ["bash", "-c", script, "browser", *argv],
        pass_fds=(read_orders, write_answers),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read_orders)
    os.close(write_answers)
    try:
        yield Page(orders, answers)
    finally:
        os.close(orders)
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        os.close(answers)
