"""What is in an image and where it runs, as text and Markdown: out of the `image` part of its report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from doctor.render.appearance import Appearance
from doctor.text import one_line, plain, size_words

SIGNS = {
    "yes": "✓ yes",
    "jit": "~ JIT",
    "partly": "! partly",
    "no": "✗ no",
    "wrong-vendor": "– vendor",
    "unknown": "? unknown",
}
STYLES = {
    "yes": "passed",
    "jit": "warning",
    "partly": "warning",
    "no": "error",
    "wrong-vendor": "dim",
    "unknown": "warning",
}
LEGEND = "✓ machine code   ~ compiled at first start   ! a file lacks it   ✗ no code   – other vendor   ? not known"
FILES, GPUS = 14, 6
CELL = 11


def image_text(image: dict[str, Any], look: Appearance) -> str:
    """Head, verdicts, and the matrix of files and GPUs."""
    rows = [*_head(image, look), ""]
    if image["verdicts"]:
        rows += [*_verdicts(image, look), ""]
        rows += [*_matrix(image, look)]
    return "\n".join(rows).rstrip("\n") + "\n\n"


def _head(image: dict[str, Any], look: Appearance) -> Iterator[str]:
    told = " · ".join(filter(None, (plain(image["platform"]), size_words(image["size"]))))
    yield look.paint(plain(image["reference"]), "bold") + f"   {told}"
    yield f"   Read from   {plain(image['read_from'])}"
    libc = f"glibc {image['glibc']}" if image["glibc"] else f"musl {image['musl']}" if image["musl"] else "no C library"
    yield f"   System      {plain(image['distribution'] or 'no distribution')}, {libc}"
    named = {"cuda": "CUDA", "rocm": "ROCm", "cudnn": "cuDNN", "nccl": "NCCL"}
    versions = [f"{says} {plain(image[key])}" for key, says in named.items() if image[key]]
    if versions:
        yield f"   Versions    {', '.join(versions)}"
    for one in image["frameworks"]:
        built = f", built for {one['build']} {one['built_for'] or ''}".rstrip() if one["build"] else ""
        yield f"   Framework   {plain(one['name'])} {plain(one['version'] or '')}{built}"
    yield f"   Stack       {image['stack']} ({one_line(image['why_stack'], 110)})"


def _verdicts(image: dict[str, Any], look: Appearance) -> Iterator[str]:
    yield "Does it run?"
    width = max(len(_gpu(one)) for one in image["verdicts"])
    for one in image["verdicts"]:
        sign = look.paint(f"{_sign(one['runs'], look):<10}", STYLES[one["runs"]])
        yield f"   {sign} {_gpu(one):<{width}}  {one_line(one['because'], 150)}"


def _gpu(verdict: dict[str, Any]) -> str:
    name = one_line(verdict["name"], 34)
    return name if name == verdict["gpu"] else f"{name} ({verdict['gpu']})"


def _sign(runs: str, look: Appearance) -> str:
    sign = SIGNS[runs]
    return sign if look.unicode else sign.replace("✓", "+").replace("✗", "x").replace("–", "-")


def _matrix(image: dict[str, Any], look: Appearance) -> Iterator[str]:
    """Files down, GPUs across; wide matrices go on below."""
    files = image["code"]
    shown = files if look.verbose else files[:FILES]
    if not shown:
        return
    width = min(54, max(len(_file(one["file"], look)) for one in shown))
    for start in range(0, len(image["verdicts"]), GPUS):
        block = image["verdicts"][start : start + GPUS]
        yield f"   {'GPU code in':<{width}}  " + "".join(f"{one['gpu'][: CELL - 1]:<{CELL}}" for one in block)
        for one in shown:
            told = [
                {row["file"]: row for row in verdict["files"]}.get(one["file"], {"runs": "unknown"})
                for verdict in block
            ]
            cells = "".join(look.paint(f"{_sign(row['runs'], look):<{CELL}}", STYLES[row["runs"]]) for row in told)
            yield f"   {_file(one['file'], look):<{width}}  {cells}".rstrip()
        yield ""
    if len(files) > len(shown):
        yield f"   {len(files) - len(shown)} more files with GPU code; --verbose shows them"
    yield look.paint(
        f"   {LEGEND if look.unicode else LEGEND.replace('✓', '+').replace('✗', 'x').replace('–', '-')}", "dim"
    )


def _file(path: str, look: Appearance) -> str:
    path = one_line(path, 300)
    return path if len(path) <= 54 else ("…" if look.unicode else "~") + path[-53:]


def image_markdown(image: dict[str, Any]) -> str:
    """Head and matrix as Markdown tables."""
    rows = [f"Image {_code(image['reference'])}, {_code(image['platform'])}, stack **{image['stack']}**", ""]
    for key, says in (("cuda", "CUDA"), ("rocm", "ROCm"), ("cudnn", "cuDNN"), ("glibc", "glibc"), ("musl", "musl")):
        if image[key]:
            rows.append(f"- {says} {_code(image[key])}")
    rows += [f"- {_code(one['name'])} {_code(one['version'] or '')}" for one in image["frameworks"]]
    if image["verdicts"]:
        rows += ["", "| GPU | runs | because |", "|---|---|---|"]
        rows += [f"| {_code(_gpu(one))} | {one['runs']} | {_code(one['because'])} |" for one in image["verdicts"]]
        rows += ["", "| GPU code in | " + " | ".join(one["gpu"] for one in image["verdicts"]) + " |"]
        rows.append("|---" * (1 + len(image["verdicts"])) + "|")
        by_gpu = [{row["file"]: row["runs"] for row in one["files"]} for one in image["verdicts"]]
        for one in image["code"]:
            cells = " | ".join(known.get(one["file"], "unknown") for known in by_gpu)
            rows.append(f"| {_code(one['file'])} | {cells} |")
    return "\n".join([*rows, "", ""])


def _code(text: str) -> str:
    """Untrusted text as a code span in a table: no backtick and no bar of its own."""
    text = one_line(text, 300).replace("`", "'").replace("|", "/")
    return f"`{text}`" if text else ""
