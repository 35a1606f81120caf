"""Versions, paths and terminal facts for a bug report about gpu-doctor.

examples:
  gpu-doctor self
  gpu-doctor self completion bash > ~/.local/share/bash-completion/completions/gpu-doctor
  gpu-doctor self completion zsh > ~/.zfunc/_gpu-doctor
  gpu-doctor self completion fish > ~/.config/fish/completions/gpu-doctor.fish
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from doctor.errors import UsageError
from doctor.verbs import completion
from doctor.verbs import options as shared
from doctor.version import __version__

LIBRARIES = ("textual", "docker", "psutil", "pyelftools", "google-re2", "hyperscan")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "completion"), nargs="?", default="show")
    parser.add_argument("shell", choices=tuple(completion.SHELLS), nargs="?")
    shared.knowledge(parser)
    shared.output(parser, ("text", "json"))


def run(options: argparse.Namespace) -> int:
    if options.action == "completion":
        if options.shell is None:
            raise UsageError(f"self completion takes a shell: {', '.join(completion.SHELLS)}")
        shared.write(completion.SHELLS[options.shell](), options)
        return 0
    content = facts(options)
    if options.format == "json":
        shared.write(json.dumps(content, indent=2) + "\n", options)
    else:
        shared.write("".join(f"{name:<18} {value}\n" for name, value in content.items()), options)
    return 0


def facts(options: argparse.Namespace) -> dict[str, str]:
    """What a bug report about this tool needs; nothing about GPUs or containers."""
    base, patterns = shared.base(options)
    size = shutil.get_terminal_size((0, 0))
    return {
        "gpu-doctor": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in LIBRARIES},
        "program": str(Path(__file__).parent.parent),
        "settings": str(shared.config_folder()),
        "entries": f"{len(base.entries)}, {len(patterns)} patterns",
        "entries not read": "; ".join(base.errors) or "none",
        "terminal": f"{os.environ.get('TERM', 'not set')}, {size.columns}x{size.lines}, "
        f"{'a terminal' if sys.stdout.isatty() else 'not a terminal'}, {sys.stdout.encoding}",
        "colours": f"NO_COLOR={os.environ.get('NO_COLOR', '')!r}, COLORTERM={os.environ.get('COLORTERM', '')!r}",
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
