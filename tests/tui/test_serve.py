"""The app in a browser: who gets in, who does not, and what a person sees and does there."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import browser as chromium
import pytest
from browser import opened, serving, steady

pytest.importorskip("textual_serve", reason="textual-serve is not installed")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def address() -> Iterator[str]:
    with serving() as one:
        yield one


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
        overview = await opened(page, address, tmp_path / "overview.png")
        assert "key=" not in await page.evaluate("location.href")
        foreign = await page.evaluate(
            "performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(location.origin))"
            ".filter(n => performance.getEntriesByName(n)[0].transferSize > 0)"
        )
        assert foreign == [], "nothing is loaded from elsewhere"
        await page.key("5")
        knowledge = await steady(page, tmp_path / "knowledge.png")
        assert knowledge != overview, "a key changes the screen"
        await page.key("1")
        assert await steady(page, tmp_path / "back.png") != knowledge
