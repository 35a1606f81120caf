"""The command line: which verb, and nothing else. A verb's module is imported only when it is called."""

from __future__ import annotations

import os
import sys

VERBS = {
    "check": "run all checks on this machine, or on one container that failed",
    "explain": "diagnose error logs; no machine needed",
    "image": "what is in an image, and whether it runs on these GPUs",
    "binary": "kernel images, architectures and dependencies of files, wheels and folders",
    "recommend": "the image and the exact docker run line for this or the named hardware",
    "record": "write a redacted snapshot of this machine to send to someone",
    "replay": "diagnose a recorded snapshot as if it were this machine",
    "triage": "many logs and snapshots at once, grouped by cause",
    "knowledge": "the knowledge base: list, show, search, test, new",
    "diff": "what differs between two snapshots or reports",
    "lint": "Dockerfiles, compose files and manifests: GPU requests that cannot work",
    "serve": "the app in a browser, on loopback",
    "self": "versions, paths and terminal facts for a bug report about gpu-doctor",
    "checks": "every check, what it needs and what it reads",
}

INTERRUPTED = 130
EXAMPLES = """\
examples:
  gpu-doctor                              the app (on a terminal)
  gpu-doctor check --container trainer    why did this container fail?
  docker logs trainer 2>&1 | gpu-doctor explain -
  gpu-doctor record -o snapshot.gz        a snapshot for someone who cannot reach this machine
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    _have_streams()
    if words[:1] in (["--version"], ["-V"]):
        from doctor.version import __version__

        return _say(f"gpu-doctor {__version__}")
    if words[:1] == ["help"] and words[1:2] and words[1] in VERBS:
        words = [words[1], "--help"]
    verb = words[0] if words and not words[0].startswith("-") else None
    if words[:1] in (["--help"], ["-h"], ["help"]):
        return _say(usage())
    try:
        from doctor.verbs import command

        return command.run(verb, words)
    except KeyboardInterrupt:
        print("gpu-doctor: interrupted; nothing was changed", file=sys.stderr)
        return INTERRUPTED


def _have_streams() -> None:
    """A service may be started without them: then nothing is read, and what is said goes nowhere.

    What a terminal's encoding has no sign for becomes a question mark, in whatever is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the end
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _say(text: str) -> int:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        leave_pipe()
    except OSError as error:
        print(f"gpu-doctor: standard output cannot be written: {error.strerror}", file=sys.stderr)
        leave_pipe()
        return 2
    return 0


def leave_pipe() -> None:
    """The reader left (a pager, head): no error, and the interpreter must not complain of it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def usage() -> str:
    """The help of the command as a whole, examples first."""
    from importlib.util import find_spec

    rows = [f"  {verb:<10} {says}" for verb, says in VERBS.items() if find_spec(f"doctor.verbs.{verb}")]
    return (
        "usage: gpu-doctor [VERB] [OPTIONS]\n\n"
        "Tells why a GPU container fails and how to fix it, for NVIDIA (CUDA) and AMD (ROCm).\n"
        "It only reads: nothing is run from an image, changed on the host, or sent anywhere.\n\n"
        f"{EXAMPLES}\nverbs:\n" + "\n".join(rows) + "\n\n"
        "gpu-doctor VERB --help tells the options of a verb; -V, --version the version.\n"
        "exit codes: 0 nothing found, 1 findings, 2 wrong use or unreadable input, 3 too little seen, 130 interrupted"
    )


if __name__ == "__main__":
    sys.exit(main())
