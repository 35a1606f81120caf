"""What is in a binary: kernel images, AMD code objects, what it needs and where it looks for that.

Reads ELF files, loose kernel images, static archives, wheels and zip files in place, and folders. Headers only:
nothing is run or loaded, and no GPU, CUDA or ROCm is needed.

examples:
  gpu-doctor binary libtorch_cuda.so
  gpu-doctor binary torch-2.9.1-cp312-cp312-manylinux_2_28_x86_64.whl --gpu "RTX 5090"
  gpu-doctor binary --format jsonl /usr/lib/python3/dist-packages
  gpu-doctor binary --root / ./app                        what it loads on this machine, and what is missing
  gpu-doctor binary --root unpacked-image /usr/bin/app    the same in an unpacked image
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.binary.device_code import Depth
from doctor.binary.record import BinaryFile, to_json
from doctor.binary.scan import scan
from doctor.errors import UsageError
from doctor.input import demand_file
from doctor.output import answering
from doctor.render.binary import detail_lines, file_lines
from doctor.text import one_line
from doctor.verbs import options as shared

if TYPE_CHECKING:
    from doctor.binary.details import Details
    from doctor.binary.verdict import Verdict
    from doctor.gpus import Gpu
    from doctor.loader.resolution import Resolution

SCHEMA = "gpu-doctor/binary/1"
_STYLES = {"yes": "passed", "no": "error", "wrong-vendor": "error"}
# Kernel images that are files of their own lie side by side for many targets: one that fits is enough for all.
_LOOSE = ("cubin", "code-object", "fatbin", "bundle", "ptx", "kernel-library")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a file, a wheel or a folder")
    parser.add_argument(
        "--places",
        choices=[depth.value for depth in Depth],
        default=Depth.KNOWN.value,
        help="where to look for kernel images: only where cuobjdump looks, also where NVIDIA's libraries are known"
        " to keep more (default), or in all data, which reads whole files",
    )
    parser.add_argument(
        "--gpu",
        metavar="GPU",
        action="append",
        default=[],
        help="also tell which files have code for it: a name (RTX 5090), a target (sm_120, gfx1100) or a PCI id",
    )
    parser.add_argument("--driver", metavar="VERSION", help="NVIDIA driver that would compile PTX for --gpu")
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="also resolve what the files need, as the dynamic loader would with this folder as its root",
    )
    parser.add_argument(
        "--library-path",
        metavar="LIST",
        help="LD_LIBRARY_PATH of the process (default: none; with --root / this shell's)",
    )
    shared.output(
        parser,
        ("text", "json", "jsonl"),
        fail_on="exit with 1 if a library is missing (--root) or a file has no code for the GPU (--gpu), or never",
        verbose="every place with its images, symbols by version node",
    )


def run(options: argparse.Namespace) -> int:
    answer = _Answer(options)
    form = {"json": _as_json, "jsonl": _as_json_lines, "text": _as_text}[options.format]
    if not options.quiet:
        _write(form(answer), options.output)
        return answer.code
    from tempfile import SpooledTemporaryFile  # slow to import

    with SpooledTemporaryFile(1 << 20, "w+", encoding="utf-8") as kept:  # a tree of any size, and its end decides
        kept.writelines(form(answer))
        kept.seek(0)
        if answer.code:
            _write(kept, options.output)
    return answer.code


class _Answer:
    """The files one after another, so that a tree of any size takes no more memory than its largest file's record."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Raises UsageError for a path, GPU or root that there is not."""
        self.verbose: bool = options.verbose
        self.look = shared.look(options)
        self._fail_on: str = options.fail_on
        self.gpus = _gpus(options.gpu)
        self.root: str | None = options.root
        self.count = 0
        self.damaged = 0
        self.does_not_load = False
        self._depth = Depth(options.places)
        self._driver: str | None = options.driver
        self._library_path = _library_path(options)
        self._loaded: list[str] = []
        # By archive, how many libraries are in it: they are followed only once they are unpacked.
        self._packed: dict[str, int] = {}
        # By GPU and file, or folder of kernel images: whether code in it runs.
        self._runs: dict[Gpu, dict[str, str]] = {}
        self._paths = [_on_disk(path, options.root) for path in options.paths]

    @property
    def code(self) -> int:
        """The exit code, once all files were given."""
        if self._fail_on != "never" and (self.does_not_load or self.code_is_lacking()):
            return 1
        return 3 if self.damaged else 0

    def files(self) -> Iterator[BinaryFile]:
        for path in self._paths:
            try:
                for file in scan(path, self._depth):
                    self.count += 1
                    self.damaged += bool(file.unreadable)
                    if self.root is not None and file.kind in ("executable", "shared-object"):
                        self._keep(file.path)
                    yield file
            except OSError as error:
                raise UsageError(f"{one_line(path)} cannot be read: {error.strerror}") from None

    def _keep(self, path: str) -> None:
        if _is_member(path):
            archive = path.partition("!")[0]
            self._packed[archive] = self._packed.get(archive, 0) + 1
        else:
            self._loaded.append(path)

    def verdicts(self, file: BinaryFile) -> list[Verdict]:
        """Whether each GPU has code in `file`; nothing for a file without device code."""
        if not self.gpus or not (file.cubin or file.ptx or file.gfx):
            return []
        from doctor.binary.verdict import TOLD, judge

        found = [judge(file, gpu, self._driver) for gpu in self.gpus]
        place = file.path.rpartition("/")[0] if file.kind in _LOOSE else file.path
        for verdict in found:
            known = self._runs.setdefault(verdict.gpu, {})
            known[place] = min(known.get(place, verdict.runs), verdict.runs, key=list(TOLD).index)
        return found

    def totals(self, gpu: Gpu) -> dict[str, int]:
        """How many files, kernel images of one folder being one, do what on a GPU."""
        from doctor.binary.verdict import TOLD

        runs = list(self._runs.get(gpu, {}).values())
        return {word: runs.count(word) for word in TOLD if word in runs}

    def code_is_lacking(self) -> bool:
        """Whether a file lacks code for a GPU, or all have code for the other vendor's alone."""
        return any("no" in totals or [*totals] == ["wrong-vendor"] for totals in map(self.totals, self.gpus))

    def resolution(self) -> Resolution | None:
        """What the files load below the root; after all files were given."""
        if self.root is None:
            return None
        from dataclasses import replace

        from doctor.loader.resolution import Problem
        from doctor.loader.resolve import resolve
        from doctor.render.libraries import is_wrong
        from doctor.tree import DirectoryTree

        inside = [f"/{os.path.relpath(path, os.path.realpath(self.root))}" for path in self._loaded]
        with DirectoryTree(self.root) as tree:
            found = resolve(tree, inside, {"LD_LIBRARY_PATH": self._library_path})
        self.does_not_load = any(is_wrong(edge) for edge in found.edges)
        packed = [
            Problem(archive, f"{number} libraries in it are looked at but not resolved: unpack it first")
            for archive, number in self._packed.items()
        ]
        return replace(found, problems=(*found.problems, *packed))


def _is_member(path: str) -> bool:
    """Whether a path is that of a file in an archive, not of one whose name has a `!` in it."""
    return "!" in path and not os.path.lexists(path)


def _gpus(names: list[str]) -> tuple[Gpu, ...]:
    # What only some runs need is imported there: it would be half of the command's time.
    if not names:
        return ()
    from doctor.gpus import gpu_named

    return tuple(gpu_named(name) for name in names)


def _library_path(options: argparse.Namespace) -> str:
    if options.library_path is not None:
        return str(options.library_path)
    return os.environ.get("LD_LIBRARY_PATH", "") if options.root and os.path.realpath(options.root) == "/" else ""


def _on_disk(path: str, root: str | None) -> str:
    """Where a path of the command line lies on this machine. With a root, links are followed as inside of it.

    Raises UsageError for what cannot be read or is not below the root.
    """
    demand_file(path, "a binary")
    if root is not None:
        path = _below(path, root)
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{one_line(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return path


def _below(path: str, root: str) -> str:
    from doctor.tree import DirectoryTree, resolve

    top = os.path.realpath(root)
    if not os.path.isdir(top):
        raise UsageError(f"--root {one_line(root)} is no folder")
    seen = [os.path.relpath(whole(path), top) for whole in (os.path.abspath, os.path.realpath)]
    inside = next((f"/{place}" for place in seen if place.split("/")[0] != ".."), path)
    try:
        with DirectoryTree(top) as tree:
            found = resolve(tree, inside)
    except OSError as error:
        raise UsageError(f"{one_line(path)} cannot be read: {error.strerror}") from None
    if found is None:
        raise UsageError(f"{one_line(path)} is not below --root {one_line(root)}, nor is there such a file in it")
    return top.rstrip("/") + found.path


def _details(file: BinaryFile) -> Details | None:
    """What pyelftools tells of a file; for an archive's member, or one it cannot read, None."""
    if file.kind not in ("executable", "shared-object", "relocatable") or _is_member(file.path):
        return None
    from doctor.binary.details import details
    from doctor.binary.reader import Damaged, open_file

    try:
        with open_file(file.path) as reader:
            return details(reader)
    except (OSError, Damaged):
        return None


def _write(pieces: Iterable[str], output: Path | None) -> None:
    with answering(output) as stream:
        stream.writelines(pieces)


# As JSON


def _file_json(answer: _Answer, file: BinaryFile) -> dict[str, Any]:
    content = to_json(file)
    if answer.gpus:
        content["gpus"] = [
            {**verdict._asdict(), "gpu": verdict.gpu.target, "name": verdict.gpu.name}
            for verdict in answer.verdicts(file)
        ]
    if answer.verbose and (found := _details(file)) is not None:
        content["details"] = {**found._asdict(), "nodes": [node._asdict() for node in found.nodes]}
    return content


def _libraries_json(answer: _Answer) -> dict[str, Any]:
    found = answer.resolution()
    if found is None:
        return {}
    from doctor.render.libraries import library_json

    return {
        "libraries": [library_json(edge) for edge in found.edges],
        "not_followed": [{"path": problem.path, "reason": problem.reason} for problem in found.problems],
        "incomplete": found.incomplete,
    }


def _as_json_lines(answer: _Answer) -> Iterator[str]:
    """A line for each file, then with --root one for what they load."""
    import json

    for file in answer.files():
        yield json.dumps(_file_json(answer, file)) + "\n"
    if libraries := _libraries_json(answer):
        yield json.dumps(libraries) + "\n"


def _as_json(answer: _Answer) -> Iterator[str]:
    import json

    from doctor.version import __version__

    yield f'{{"schema": {json.dumps(SCHEMA)}, "tool_version": {json.dumps(__version__)}, "files": ['
    separator = "\n"
    for file in answer.files():
        yield separator + json.dumps(_file_json(answer, file))
        separator = ",\n"
    libraries = json.dumps(_libraries_json(answer))
    yield f"\n]{', ' + libraries[1:-1] if libraries != '{}' else ''}}}\n"


# As text


def _as_text(answer: _Answer) -> Iterator[str]:
    for file in answer.files():
        lines = [*file_lines(file, answer.verbose), *_verdict_lines(answer, file)]
        if answer.verbose and (found := _details(file)) is not None:
            lines += detail_lines(found)
        yield "\n".join([answer.look.paint(one_line(file.path), "bold"), *[f"  {line}" for line in lines]]) + "\n"
    if answer.count == 0:
        yield "no ELF files, kernel images or kernel libraries here\n"
    elif answer.count > 1:
        damage = f", {answer.damaged} that could not be read in full" if answer.damaged else ""
        yield f"{answer.count} binary files{damage}\n"
        yield from (_total(answer, gpu) for gpu in answer.gpus)
    if (resolution := answer.resolution()) is not None:
        from doctor.render.libraries import library_lines

        yield "\n".join(library_lines(resolution, answer.verbose)) + "\n"


def _verdict_lines(answer: _Answer, file: BinaryFile) -> Iterator[str]:
    for verdict in answer.verdicts(file):
        told = answer.look.paint(verdict.runs, _STYLES.get(verdict.runs, "warning"))
        yield f"{verdict.gpu.name} ({verdict.gpu.target}): {told}: {one_line(verdict.because)}"


def _total(answer: _Answer, gpu: Gpu) -> str:
    from doctor.binary.verdict import TOLD

    told = ", ".join(f"{number} {TOLD[word]}" for word, number in answer.totals(gpu).items())
    return f"{gpu.name} ({gpu.target}): {told or 'no GPU code in any of them'}\n"
