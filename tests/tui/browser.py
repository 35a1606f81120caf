"""A headless Chromium, driven through its debugging port: open a page, type, evaluate, take a picture; and what it opens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--remote-allow-origins=*", "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip


class Page:
    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0

    async def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async for message in self._socket:
            answer = json.loads(message.data)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
        raise AssertionError("the browser went away")

    async def evaluate(self, script: str) -> Any:
        answer = await self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    async def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def key(self, text: str) -> None:
        code = ord(text.upper())
        await self("Input.dispatchKeyEvent", type="keyDown", text=text, key=text, windowsVirtualKeyCode=code)
        await self("Input.dispatchKeyEvent", type="keyUp", key=text, windowsVirtualKeyCode=code)

    async def picture(self, path: Path) -> bytes:
        data = base64.b64decode((await self("Page.captureScreenshot", format="png"))["data"])
        path.write_bytes(data)
        return data


@contextlib.asynccontextmanager
async def browser(width: int = 1200, height: int = 800) -> AsyncIterator[Page]:
    import aiohttp

    assert PROGRAM
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            port = await _port(Path(folder) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    pages = await answer.json()
                address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
                async with session.ws_connect(address, max_msg_size=64 << 20) as socket:
                    yield Page(socket)
        finally:
            process.terminate()
            process.wait(20)


async def _port(path: Path) -> int:
    for _ in range(600):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(path.read_text().split()[0])
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")


SERVED = f"""
import sys
from doctor.tui.web import DoctorServer
from doctor.verbs.serve import _free_port
made = DoctorServer("localhost", _free_port("localhost", 0))
made.command = sys.executable + " {Path(__file__).parent / "served.py"}"
made.serve()
"""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """A server whose app shows the recorded machine; the address that it prints to open."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVED], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(20)


async def opened(page: Page, address: str, path: Path) -> bytes:
    """The picture of the first screen; from then on the terminal of the page gets the keys."""
    await page("Page.enable")
    await page("Page.navigate", url=address)
    for _ in range(300):
        if "-first-byte" in (await page.evaluate("document.body ? document.body.className : ''") or ""):
            break
        await asyncio.sleep(0.1)
    await steady(page, path)
    await page.click(900, 8)  # into the top line
    return await steady(page, path)


async def steady(page: Page, path: Path) -> bytes:
    """The picture once it no longer changes."""
    before, same = b"", 0
    for _ in range(120):
        await asyncio.sleep(0.25)
        now = await page.picture(path)
        same = same + 1 if now == before else 0
        if same >= 4 and len(now) > 10_000:
            return now
        before = now
    raise AssertionError("the page never comes to rest")
