"""VirtualDirectories to talk to."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blockingio.http_server import VirtualDirectory
from tests.peers import RawClient, RawResponse, serving


@contextmanager
def site(root: Path, *, path_prefix: str | None = None, server: dict[str, Any] | None = None,
         **settings: Any) -> Iterator[RawClient]:
    """A client of a server of that directory."""
    directory = VirtualDirectory(root, path_prefix=path_prefix)
    for name, value in settings.items():
        getattr(directory, name)  # AttributeError for a misspelt one
        setattr(directory, name, value)
    with serving(directory.serve_request, **server or {}) as running, RawClient(running.port) as client:
        yield client


def send(client: RawClient, method: str, target: str, *fields: str) -> RawResponse:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
    return client.send("\r\n".join(lines).encode("latin-1")).read_response(method)
