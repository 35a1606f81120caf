"""The app in a browser: who gets in, who does not, and what a person sees and does there."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import browser as chromium
import pytest

pytest.importorskip("textual_serve", reason="textual-serve is not installed")
ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "screenshots" / "serve.png"
SERVED = f"""
import sys
from doctor.tui.web import DoctorServer
from doctor.verbs.serve import _free_port
made = DoctorServer("localhost", _free_port("localhost", 0))
made.command = sys.executable + " {Path(__file__).parent / "served.py"}"
made.serve()
"""


@pytest.fixture
def address() -> Iterator[str]:
    """A server whose app shows the recorded machine; what it prints to open."""
    process = subprocess.Popen([sys.executable, "-c", SERVED], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(20)


def ask(address: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=20)
    connection.request("GET", path, headers={"Host": place.netloc, **headers})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders())


def test_only_the_key_opens_it_and_only_from_its_own_pages(address: str) -> None:
    key = urlsplit(address).query
    assert ask(address, "/")[0] == 403
    assert ask(address, "/ws")[0] == 403
    assert ask(address, "/?key=wrong")[0] == 403
    status, headers = ask(address, f"/?{key}")
    assert status == 303
    assert "HttpOnly" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].split(";")[0]
    status, headers = ask(address, "/", Cookie=cookie)
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ask(address, "/", Cookie=cookie, Host="evil.example")[0] == 403, "DNS rebinding"
    assert ask(address, "/ws", Cookie=cookie, Origin="https://evil.example")[0] == 403, "a page of another site"


def test_a_port_that_is_taken_is_told_in_one_line(address: str) -> None:
    port = str(urlsplit(address).port)
    done = subprocess.run([sys.executable, "-m", "doctor", "serve", "--port", port], capture_output=True, text=True,
                          cwd=ROOT, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "choose another with --port" in done.stderr


@pytest.mark.skipif(chromium.PROGRAM is None, reason="chromium is not installed")
async def test_a_person_sees_and_drives_it_in_a_browser(address: str, tmp_path: Path) -> None:
    async with chromium.browser() as page:
        await page("Page.enable")
        await page("Page.navigate", url=address)
        for _ in range(300):
            if "-first-byte" in (await page.evaluate("document.body ? document.body.className : ''") or ""):
                break
            await asyncio.sleep(0.1)
        assert "key=" not in await page.evaluate("location.href")
        await page.click(900, 8)  # into the top line: the terminal of the page gets the keys
        overview = await steady(page, tmp_path / "overview.png")
        foreign = await page.evaluate(
            "performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin))"
            ".filter(n => performance.getEntriesByName(n)[0].transferSize > 0)"
        )
        assert foreign == [], "nothing is loaded from elsewhere"
        (PICTURE if not PICTURE.exists() else tmp_path / "serve.png").write_bytes(overview)
        await page.key("5")
        knowledge = await steady(page, tmp_path / "knowledge.png")
        assert knowledge != overview, "a key changes the screen"
        await page.key("1")
        assert await steady(page, tmp_path / "back.png") != knowledge


async def steady(page: chromium.Page, path: Path) -> bytes:
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
