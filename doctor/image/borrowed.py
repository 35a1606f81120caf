"""A container that exists only while its image is looked at, and is removed whatever happens to us.

The container is removed by a guard: a process of its own that waits until we are done, or gone. It is started before
the container is made, has a session of its own, so that Ctrl-C and a closed terminal do not reach it, and sees the end
of our pipe even where we were killed.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from doctor.errors import UsageError
from doctor.image.engines import Engine, EngineError, NotThere, connect

GUARD_SECONDS = 90
# How long a container may take to appear that was being made when we were killed.
APPEARS_SECONDS = 20
_READY, _MADE, _NOT_MADE = b"r", b"m", b"n"


@contextmanager
def borrowed(engine: Engine, image: str) -> Iterator[str]:
    """The name of a container of the image, never started, removed when the context ends. Raises UsageError."""
    name = f"gpu-doctor-look-{secrets.token_hex(6)}"
    words = [sys.executable, "-m", "doctor.image.borrowed", engine.address, name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as guard:
        assert guard.stdin is not None
        assert guard.stdout is not None
        if guard.stdout.read(1) != _READY:
            raise UsageError("no container is made: the process that would remove it again did not start")
        try:
            engine.create(name, image)
            guard.stdin.write(_MADE)
        except EngineError as error:
            guard.stdin.write(_NOT_MADE)
            raise UsageError(f"the engine did not make a container to look at: {error.strerror}") from None
        try:
            yield name
        finally:
            guard.stdin.close()
            if guard.wait(GUARD_SECONDS):
                raise UsageError(f"the container {name} could not be removed; remove it with `docker rm {name}`")


def _guard(address: str, name: str) -> int:
    """Waits for the end of our standard input, then removes the container. 0: it is gone."""
    engine = connect(address)
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    told = sys.stdin.buffer.read()
    until = time.monotonic() + (0 if told == _NOT_MADE else APPEARS_SECONDS)
    while time.monotonic() < until:
        try:
            engine.remove(name)
            return 0
        except NotThere:
            # Where we were killed while it was being made, it may come yet.
            if told == _MADE:
                return 0
        except EngineError:
            pass
        time.sleep(0.5)
    return 0 if told == _NOT_MADE else 1


if __name__ == "__main__":
    sys.exit(_guard(*sys.argv[1:3]))
