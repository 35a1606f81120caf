"""The HTML report as a person sees it in a browser: overview, pages, folding, light and dark, and no way out of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui import browser as chromium

from . import outputs as o

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="no chromium here")
KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
PICTURES = Path(__file__).parents[2] / "screenshots"
HOSTILE = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
OUTSIDE = """
(() => [...document.querySelectorAll('script, link, img, iframe, object, embed, form, base, [style], [onerror]')].length)()
"""


def written(folder: Path, tickets: dict[str, str]) -> str:
    (folder / "tickets").mkdir()
    for name, text in tickets.items():
        (folder / "tickets" / name).write_text(text)
    command = [sys.executable, "-m", "doctor", "triage", "--format", "html", "--output", str(folder / "report.html"), "tickets"]  # fmt: skip
    subprocess.run(command, cwd=folder, check=False, timeout=120)
    return f"file://{folder}/report.html"


TICKETS = {
    "4711.log": "our training dies since the upgrade\n" + KERNEL + o.COLLECT_ENV,
    "4712.log": KERNEL,
    "4713.log": "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory\n",
    "4714.log": "Found no NVIDIA driver on your system.\n" + o.INSPECT,
    "4715.log": "epoch 1 loss 0.5\n",
    "4716.log": "",
    "4717.txt": o.PLUGIN_POD,
    "4718.txt": o.SMI_Q,
    "4719.log": "Memory access fault by GPU node-1 (Agent handle: 0x5) on address 0x7f. Reason: Page not present or supervisor privilege.\n",
}


async def shown(page: chromium.Page, selector: str) -> bool:
    return bool(await page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).display != 'none'"))


async def open_page(page: chromium.Page, address: str) -> None:
    await page("Page.enable")
    await page("Page.navigate", url="about:blank")
    await page("Page.navigate", url=address)
    for _ in range(100):
        if await page.evaluate("document.readyState == 'complete' && location.protocol == 'file:'"):
            return
    raise AssertionError("the report did not load")


async def test_the_overview_counts_and_each_ticket_has_a_page(tmp_path: Path) -> None:
    address = written(tmp_path, TICKETS)
    async with chromium.browser(1000, 760) as page:
        await open_page(page, address)
        assert await shown(page, "#overview")
        assert not await shown(page, "#t1")
        counts = await page.evaluate("[...document.querySelectorAll('.counts b')].map(one => one.textContent)")
        assert counts == ["7", "1", "1"]
        head = await page.evaluate("document.querySelector('#overview summary').textContent")
        assert head.startswith("2")
        assert "cuda-no-kernel-image" in head
        await page.evaluate("document.querySelector('#overview a').click()")
        assert await page.evaluate("location.hash") == "#t1"
        assert await shown(page, "#t1")
        assert not await shown(page, "#overview")
        title = await page.evaluate("document.querySelector('#t1 h1').innerText")
        assert "no GPU code for NVIDIA GeForce RTX 5090" in title


async def test_evidence_folds(tmp_path: Path) -> None:
    async with chromium.browser() as page:
        await open_page(page, written(tmp_path, TICKETS) + "#t1")
        height = "document.querySelector('#t1 details pre').getBoundingClientRect().height"
        assert await page.evaluate(height) > 0
        await page.evaluate("document.querySelector('#t1 details summary').click()")
        assert await page.evaluate("document.querySelector('#t1 details').open") is False


async def test_light_and_dark_follow_the_reader(tmp_path: Path) -> None:
    address = written(tmp_path, TICKETS)
    seen = {}
    async with chromium.browser() as page:
        await open_page(page, address)
        for scheme in ("light", "dark"):
            await page("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            style = "getComputedStyle(document.body)"
            seen[scheme] = [await page.evaluate(f"{style}.{name}") for name in ("backgroundColor", "color")]
    assert seen["light"] == ["rgb(255, 255, 255)", "rgb(28, 32, 36)"]
    assert seen["dark"] == ["rgb(20, 23, 26)", "rgb(228, 232, 236)"]


async def test_nothing_in_a_ticket_becomes_part_of_the_page(tmp_path: Path) -> None:
    tickets = {f"{HOSTILE.split('<img')[0].replace('/', '_')}.log": KERNEL, "b.log": f"{HOSTILE} {KERNEL}"}
    async with chromium.browser() as page:
        await open_page(page, written(tmp_path, tickets) + "#t2")
        assert await page.evaluate("typeof window.hit") == "undefined"
        assert await page.evaluate(OUTSIDE) == 0
        assert "onerror" in await page.evaluate("document.querySelector('#t2 pre').innerText")
        # The page forbids itself to load anything.
        assert (
            await page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', error => error.name)") == "TypeError"
        )
        policy = "document.querySelector('meta[http-equiv]').content"
        assert (await page.evaluate(policy)).startswith("default-src 'none'")


async def test_it_fits_a_telephone(tmp_path: Path) -> None:
    async with chromium.browser(400, 800) as page:
        await open_page(page, written(tmp_path, TICKETS) + "#t1")
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


async def test_the_pictures_for_the_readme(tmp_path: Path) -> None:
    """Drawn where they are missing: remove one, run this, look at it."""
    address = written(tmp_path, TICKETS)
    async with chromium.browser(1000, 720) as page:
        for name, hash_, scheme in (("report-overview", "", "light"), ("report-ticket", "#t1", "dark")):
            await page("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            await open_page(page, address + hash_)
            kept, drawn = PICTURES / f"{name}.png", tmp_path / f"{name}.png"
            data = await page.picture(drawn if kept.exists() else kept)
            # Width and height of a PNG stand at byte 16.
            assert kept.read_bytes()[:24] == data[:24]
