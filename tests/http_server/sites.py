"""VirtualDirectories to talk to."""
from __future__ import annotations

import ctypes
import os
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


class _Capabilities(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


# From Linux's capability.h: the interface's version, and the rights to pass over a file's permissions.
_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Permissions count for this thread, also where the tests are run by root, who may pass over them."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    rights = (_Capabilities * 2)()
    assert libc.capget(header, rights) == 0
    before = rights[0].effective
    rights[0].effective = before & ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
    assert libc.capset(header, rights) == 0
    try:
        yield
    finally:
        rights[0].effective = before
        assert libc.capset(header, rights) == 0


def send(client: RawClient, method: str, target: str, *fields: str) -> RawResponse:
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]
    return client.send("\r\n".join(lines).encode("latin-1")).read_response(method)
