"""A socket that is handed to the user while bytes for it have been read already: it gives those first.

``select`` knows nothing of these bytes, as of those that a TLS socket has decrypted; recv and makefile do.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Base = socket.socket
else:
    _Base = object


class _ReadAhead(_Base):
    """Belongs to one thread at a time, as a file does."""

    _ahead: bytes

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        if not self._ahead:
            return super().recv(buflen, flags)
        data = self._ahead[:buflen]
        if not flags & socket.MSG_PEEK:
            self._ahead = self._ahead[buflen:]
        return data

    def recv_into(self, buffer: Any, nbytes: int | None = 0, flags: int = 0) -> int:
        if not self._ahead:
            return super().recv_into(buffer, nbytes or 0, flags)
        with memoryview(buffer).cast("B") as view:
            data = self.recv(nbytes or len(view), flags)
            view[: len(data)] = data
        return len(data)


class _PlainSocket(_ReadAhead, socket.socket):
    pass


class _TlsSocket(_ReadAhead, ssl.SSLSocket):
    pass


def with_bytes_ahead(sock: socket.socket, ahead: bytes) -> socket.socket:
    """The same connection as a socket that first gives ``ahead``; ``sock`` itself is used up."""
    if not ahead:
        return sock
    if isinstance(sock, ssl.SSLSocket):
        sock.__class__ = _TlsSocket  # an SSLSocket cannot be made from a descriptor; its state stays in it
        sock._ahead = ahead  # type: ignore[attr-defined]
        return sock
    timeout = sock.gettimeout()
    plain = _PlainSocket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    plain.settimeout(timeout)
    plain._ahead = ahead
    return plain
