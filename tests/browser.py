"""A real browser, driven by its DevTools protocol over a pipe: nothing is installed beside it, no port is opened."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

__all__ = ["BROWSER", "Browser", "Tab", "needs_browser"]

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
PATIENCE = 60  # seconds

needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed")

# The browser reads commands from descriptor 3 and answers on 4.
_START = (
    "import fcntl, os, sys\n"
    "r, w = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])\n"
    "os.dup2(r, 3)\n"
    "os.dup2(w, 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])"
)
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
_QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowUp": 38, "ArrowDown": 40, "ArrowRight": 39, "ArrowLeft": 37}


class Browser:
    """A browser without a window, ended by `close`."""

    def __init__(self, folder: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        arguments = [str(BROWSER), *_OPTIONS, *_QUIET, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(commands), str(answers), *arguments],
            pass_fds=[commands, answers],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        os.set_blocking(self._answers, False)
        self._read = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        try:
            self.send("Browser.close")
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._commands)
            os.close(self._answers)

    def send(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """The answer to a command; events that come before it are kept."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for message in self._messages():
                if "id" not in message:
                    self.events.append(message)
                elif message["id"] == self._number:
                    assert "error" not in message, message
                    return message["result"]
            time.sleep(0.002)
        raise TimeoutError(method)

    def _messages(self) -> Iterator[dict[str, Any]]:
        try:
            while read := os.read(self._answers, 1 << 20):
                self._read += read
        except BlockingIOError:
            pass
        *whole, self._read = self._read.split(b"\0")
        return map(json.loads, whole)

    @contextmanager
    def open(self, path: Path, **media: Any) -> Iterator["Tab"]:
        """A tab with the page of a file, which is closed again."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        tab.look(**media)
        for domain in ("Runtime", "Log", "Page"):
            tab.send(f"{domain}.enable")
        tab.send("Page.navigate", url=path.absolute().as_uri())
        tab.wait("document.readyState == 'complete' && location.protocol == 'file:'")
        try:
            yield tab
        finally:
            self.send("Target.closeTarget", targetId=target)


class Tab:
    """A page in a browser, with what a person does and sees."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def send(self, method: str, **parameters: Any) -> Any:
        """The answer to a command of the DevTools protocol."""
        return self._browser.send(method, self._session, **parameters)

    def look(self, width: int = 1280, height: int = 900, *, dark: bool = False, still: bool = False) -> None:
        """Take a window of a size, and a person's wishes for dark pages and for pages without motion."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        wishes = {"prefers-color-scheme": "dark" if dark else "light"}
        wishes["prefers-reduced-motion"] = "reduce" if still else "no-preference"
        self.send("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in wishes.items()])

    def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText"), self.problems())
            time.sleep(0.02)

    def text(self, selector: str) -> str:
        """The text of an element."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).textContent"))

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        x, y = self.place(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def point(self, selector: str) -> None:
        """Move the mouse over an element."""
        x, y = self.place(selector)
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def place(self, selector: str) -> tuple[float, float]:
        """The middle of an element in the window, into which it is scrolled."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.value(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
                         f"({found}.getBoundingClientRect())")  # fmt: skip
        return box[0], box[1]

    def type(self, text: str) -> None:
        """Type or paste a text into the element that has the focus."""
        self.send("Input.insertText", text=text)

    def press(self, key: str, *, control: bool = False) -> None:
        """Press a key, of `_KEYS` or one character."""
        code = _KEYS.get(key, ord(key.upper()) if len(key) == 1 else 0)
        more = {"text": {"Enter": "\r"}.get(key, key if len(key) == 1 else "")} if not control else {}
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 if control else 0}
        self.send("Input.dispatchKeyEvent", type="keyDown", **common, **more)
        self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def problems(self) -> list[Any]:
        """What the console has: errors, warnings and breaches of the policy."""
        own = [each["params"] for each in self._browser.events if each.get("sessionId") == self._session]
        return [each for each in own if "exceptionDetails" in each or "entry" in each or "args" in each]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
