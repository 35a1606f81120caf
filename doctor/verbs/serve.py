"""The app in a browser, for a support desk; on loopback unless told otherwise.

It prints the address to open, with a key that is made anew each time. What the browser shows is this machine, seen with
your rights; nothing is changed here, and files that are exported come as downloads.

examples:
  gpu-doctor serve
  gpu-doctor serve --port 8080
  ssh -L 8787:localhost:8787 gpu-07 gpu-doctor serve      from another machine
"""

from __future__ import annotations

import argparse
import errno
import socket
from importlib.util import find_spec

from doctor.errors import UsageError

PORT = 8787


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on (default: {PORT}; 0: a free one)")
    parser.add_argument(
        "--host", default="localhost", help="address to listen on (default: localhost; others can be reached by anyone)"
    )
    parser.add_argument(
        "--public-url", metavar="URL", help="the address that browsers use, where a proxy stands before it"
    )


def run(options: argparse.Namespace) -> int:
    if find_spec("textual_serve") is None:
        raise UsageError("serving needs the package textual-serve, which is not installed here")
    port = _free_port(options.host, options.port)
    from doctor.tui.web import DoctorServer

    DoctorServer(options.host, port, options.public_url).serve()
    return 0


def _free_port(host: str, port: int) -> int:
    """The port, after making sure that it can be had. Raises UsageError."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port is a number from 0 to 65535")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            return int(trial.getsockname()[1])
    except OSError as error:
        hint = "; choose another with --port" if error.errno == errno.EADDRINUSE else ""
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror}{hint}") from None
