"""The engines of this machine, asked about images and containers.

Over a Unix socket by hand: importing the `docker` package takes longer than most looks at an image. What is not a Unix
socket (ssh, TCP with TLS) goes through the package.

API: https://docs.docker.com/reference/api/engine/ (ImageInspect, ImageGet, ContainerInspect, ContainerExport,
ContainerCreate, ContainerDelete); Podman serves the same paths:
https://docs.podman.io/en/latest/markdown/podman-system-service.1.html
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from doctor.errors import UsageError
from doctor.probes.engine import NO_SSH, sockets
from doctor.text import one_line, reason_of

# An engine that reads its own disk for `save` may be slow to begin.
SECONDS = 60
PIECE = 1 << 18
# The longest answer to inspect; real ones have some 20 KB.
LONGEST = 16 << 20
T = TypeVar("T")


class EngineError(OSError):
    """The engine could not be asked, or refused. `strerror` says why, on one line."""

    def __init__(self, why: str) -> None:
        super().__init__(0, why)


class NotThere(EngineError):
    """The engine has no such image or container."""


class Engine(Protocol):
    """One engine. All methods raise NotThere and EngineError."""

    address: str

    def info(self) -> dict[str, Any]: ...

    def image(self, name: str) -> dict[str, Any]: ...

    def container(self, name: str) -> dict[str, Any]: ...

    def save(self, image: str) -> Iterator[bytes]:
        """The image as an archive, piece by piece."""
        ...

    def export(self, container: str) -> Iterator[bytes]:
        """A container's file system as a tar archive, piece by piece."""
        ...

    def create(self, name: str, image: str) -> None:
        """Makes a container that is never started."""
        ...

    def remove(self, container: str) -> None:
        """Removes a container and the volumes that were made with it."""
        ...


# What a container is made with: nothing of it ever runs, but an engine demands a command, and an image may name none.
_CREATED = {
    "Cmd": ["never started"],
    "Entrypoint": [],
    "NetworkDisabled": True,
    "HostConfig": {"NetworkMode": "none"},
    "Labels": {"gpu-doctor": "made to look at the image; safe to remove"},
}


def connect(address: str) -> Engine:
    """The engine at an address such as unix:///var/run/docker.sock. Raises EngineError."""
    if address.startswith("ssh://"):
        raise EngineError(NO_SSH)
    path = address.removeprefix("unix://")
    return _OverSocket(address, path) if path.startswith("/") else _OverPackage(address)


def ask(reference: str, what: str, call: Callable[[Engine], T]) -> tuple[Engine, T]:
    """The first engine of this machine that knows it, and its answer. Raises UsageError."""
    addresses = sockets()
    reasons, looked = [], False
    for address in addresses:
        try:
            engine = connect(address)
            return engine, call(engine)
        except NotThere:
            looked = True
            reasons.append(f"{address} has none")
        except EngineError as error:
            reasons.append(f"{address}: {error.strerror}")
    if not addresses:
        raise UsageError(
            f"{one_line(reference, 120)} is no file or folder, and no container engine was found to ask for it"
        )
    if not looked:
        raise UsageError(f"no engine could be asked for {what} ({'; '.join(reasons)})")
    raise UsageError(f"there is no {what} here, and nothing is pulled ({'; '.join(reasons)})")


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


class _OverSocket:
    def __init__(self, address: str, path: str) -> None:
        self.address = address
        self._path = path

    def info(self) -> dict[str, Any]:
        return self._json("/info")

    def image(self, name: str) -> dict[str, Any]:
        return self._json(f"/images/{_quoted(name)}/json")

    def container(self, name: str) -> dict[str, Any]:
        return self._json(f"/containers/{_quoted(name)}/json")

    def save(self, image: str) -> Iterator[bytes]:
        return _pieces(self._answer("GET", f"/images/{_quoted(image)}/get"))

    def export(self, container: str) -> Iterator[bytes]:
        return _pieces(self._answer("GET", f"/containers/{_quoted(container)}/export"))

    def create(self, name: str, image: str) -> None:
        body = json.dumps({"Image": image, **_CREATED})
        self._answer("POST", f"/containers/create?{urlencode({'name': name})}", body).close()

    def remove(self, container: str) -> None:
        self._answer("DELETE", f"/containers/{_quoted(container)}?force=1&v=1").close()

    def _json(self, path: str) -> dict[str, Any]:
        with self._answer("GET", path) as answer:
            try:
                content = json.loads(answer.read(LONGEST))
            except (ValueError, RecursionError, OSError, http.client.HTTPException):
                raise EngineError("its answer is no JSON") from None
        if not isinstance(content, dict):
            raise EngineError("its answer is no object")
        return content

    def _answer(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        connection = _Connection(self._path)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
        except OSError as error:
            connection.close()
            raise EngineError(error.strerror or str(error) or type(error).__name__) from None
        except http.client.HTTPException:
            connection.close()
            raise EngineError("what answers there is no engine") from None
        if answer.status < 300:
            return answer
        with answer:
            says = _message(answer.read(1 << 16))
        if answer.status == http.client.NOT_FOUND:
            raise NotThere(says)
        raise EngineError(says or f"status {answer.status}")


def _pieces(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    with answer:
        try:
            while piece := answer.read(PIECE):
                yield piece
        except http.client.HTTPException:
            raise EngineError("the engine's stream broke off") from None


def _quoted(name: str) -> str:
    """A name as part of a path. Where `..` leads elsewhere, an engine answers with a redirection, which is an error."""
    return quote(name, safe="/:@")


def _message(data: bytes) -> str:
    try:
        content = json.loads(data)
        return one_line(str(content["message"]), 200)
    except (ValueError, KeyError, TypeError, RecursionError):
        return one_line(data.decode("utf-8", "replace"), 200)


class _OverPackage:
    def __init__(self, address: str) -> None:
        import docker

        self.address = address
        self._api = _told(lambda: docker.APIClient(base_url=address, version="auto", timeout=SECONDS))

    def info(self) -> dict[str, Any]:
        return dict(_told(self._api.info))

    def image(self, name: str) -> dict[str, Any]:
        return dict(_told(lambda: self._api.inspect_image(name)))

    def container(self, name: str) -> dict[str, Any]:
        return dict(_told(lambda: self._api.inspect_container(name)))

    def save(self, image: str) -> Iterator[bytes]:
        return iter(_told(lambda: self._api.get_image(image)))

    def export(self, container: str) -> Iterator[bytes]:
        return iter(_told(lambda: self._api.export(container)))

    def create(self, name: str, image: str) -> None:
        _told(lambda: self._api.create_container_from_config({"Image": image, **_CREATED}, name))

    def remove(self, container: str) -> None:
        _told(lambda: self._api.remove_container(container, v=True, force=True))


def _told(call: Callable[[], Any]) -> Any:
    """What a call of the package gives; its errors as ours."""
    import docker.errors

    try:
        return call()
    except docker.errors.NotFound as error:
        raise NotThere(str(error)) from None
    except Exception as error:  # the package raises its own and those of three others
        raise EngineError(reason_of(error, 120)) from None
