"""Draw every scene of tests/tui/scenes.py into this folder: `python screenshots/render.py [name …]`.

SVG for all; with --png also PNG of those that the README shows and of the app in a browser, drawn by a local Chromium.
drawn_with.json notes by what, and of which SVG each PNG is: a test fails when one has changed since.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOTE = HERE / "drawn_with.json"
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "tui")]

PNG = ("overview-found-wide", "finding-wide", "log-wide", "image-wide", "triage-wide")
"""Pictures that the README shows."""
SERVED = "overview-found-wide"
"""What serve.png shows, in a browser."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only pictures whose name begins so")
    parser.add_argument("--png", action="store_true", help="draw the PNG files too")
    options = parser.parse_args()
    import conftest  # noqa: F401 - cleans the environment before textual reads it
    import scenes

    wanted = {name for name, _, _ in scenes.pictures()}
    for stale in () if options.names else HERE.glob("*.svg"):
        if stale.stem not in wanted:
            stale.unlink()
    for name, scene, size in scenes.pictures():
        if options.names and not name.startswith(tuple(options.names)):
            continue
        svg, _ = asyncio.run(scenes.picture(scene, size))
        (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(name)
    from importlib.metadata import version

    import textual

    note = json.loads(NOTE.read_text())
    note |= {"textual": textual.__version__, "rich": version("rich")}
    if options.png:
        for name in PNG:
            png(HERE / f"{name}.svg", HERE / f"{name}.png")
        asyncio.run(served(HERE / "serve.png"))
        note["png"] = {**{name: digest(name) for name in PNG}, "serve": digest(SERVED)}
    NOTE.write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    return 0


def digest(name: str) -> str:
    """Of the SVG of this name."""
    return hashlib.sha256((HERE / f"{name}.svg").read_bytes()).hexdigest()


async def served(target: Path) -> None:
    """The app in a browser, as `gpu-doctor serve` shows it."""
    import browser

    with browser.serving() as address:
        async with browser.browser() as page:
            await browser.opened(page, address, target)


def png(svg: Path, target: Path) -> None:
    """Draw a picture with Chromium, in a font that is on this machine."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("no chromium: PNG files are not drawn")
    text = svg.read_text(encoding="utf-8")
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width, height = (round(float(value)) for value in found.groups()) if found else (1482, 1026)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "picture.svg"
        local.write_text(re.sub(r"@font-face \{.*?\}", "", text, flags=re.S).replace("Fira Code", "DejaVu Sans Mono"))
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
        subprocess.run(
            [browser, *flags, f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
             f"--screenshot={target}", f"file://{local}"],
            check=True, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
