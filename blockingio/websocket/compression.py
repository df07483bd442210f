"""permessage-deflate (RFC 7692): its options, and the two ends of what is agreed on.

    CompressionOptions   what an application wants
    Agreement            what both sides have agreed on, as each keeps it
    Deflater, Inflater   one direction each; each belongs to one thread at a time
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, NamedTuple

from blockingio.websocket.status import Violation, WebSocketStatus

DEFLATE = "permessage-deflate"
MAX_BITS = 15
MIN_BITS = 8
# zlib has no raw window of 8 bits for compressing: it takes 9, which a peer with 8 could not follow.
MIN_OWN_BITS = 9

# The end of each message that does not travel (RFC 7692 7.2.1): an empty block without compression.
_TAIL = b"\x00\x00\xff\xff"
# A final block behind it: only a stream that stood between two blocks is at its end then.
_FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
# Bytes that are expanded at once; a limit is passed by less than that.
_STEP = 64 * 1024
_WINDOW = 32 * 1024


class CompressionOptions:
    """permessage-deflate (RFC 7692), offered and accepted by default.

    ``..._no_context_takeover``: that side compresses each message by itself, which takes less memory and makes more
    bytes.  ``..._max_window_bits``: its window has at most so many bits, 8 to 15; None: 15.  ``enabled`` False: no
    compression.  As zlib cannot compress with 8, our own side's 8 means no compression either.  Immutable.
    Raises ValueError for bits outside of 8 to 15.  Follows dart:io's CompressionOptions.
    """

    COMPRESSION_DEFAULT: ClassVar[CompressionOptions]
    COMPRESSION_OFF: ClassVar[CompressionOptions]

    __slots__ = ("client_no_context_takeover", "server_no_context_takeover", "client_max_window_bits",
                 "server_max_window_bits", "enabled")

    client_no_context_takeover: bool
    server_no_context_takeover: bool
    client_max_window_bits: int | None
    server_max_window_bits: int | None
    enabled: bool

    def __init__(self, *, client_no_context_takeover: bool = False, server_no_context_takeover: bool = False,
                 client_max_window_bits: int | None = None, server_max_window_bits: int | None = None,
                 enabled: bool = True) -> None:
        for name, bits in (("client", client_max_window_bits), ("server", server_max_window_bits)):
            if bits is not None and (type(bits) is not int or not MIN_BITS <= bits <= MAX_BITS):
                raise ValueError(f"{name}_max_window_bits is {bits!r}, expected None or 8 to 15")
        values = (bool(client_no_context_takeover), bool(server_no_context_takeover), client_max_window_bits,
                  server_max_window_bits, bool(enabled))
        for name, value in zip(self.__slots__, values):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"CompressionOptions is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"CompressionOptions is immutable: {name} cannot be deleted")

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompressionOptions) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(CompressionOptions, **self._values()), ()

    def __repr__(self) -> str:
        return f"CompressionOptions({', '.join(f'{name}={value}' for name, value in self._values().items())})"


CompressionOptions.COMPRESSION_DEFAULT = CompressionOptions()
CompressionOptions.COMPRESSION_OFF = CompressionOptions(enabled=False)


class Agreement(NamedTuple):
    """What both sides keep; bits None: 15, and not written."""

    client_no_context_takeover: bool = False
    server_no_context_takeover: bool = False
    client_max_window_bits: int | None = None
    server_max_window_bits: int | None = None

    def __str__(self) -> str:
        parts = [DEFLATE]
        for name, value in self._asdict().items():
            if value is not None and value is not False:
                parts.append(name if value is True else f"{name}={value}")
        return "; ".join(parts)

    def deflater(self, is_server: bool) -> Deflater:
        """For what this side sends."""
        return Deflater(*self._of("server" if is_server else "client"))

    def inflater(self, is_server: bool) -> Inflater:
        """For what this side receives."""
        return Inflater(*self._of("client" if is_server else "server"))

    def _of(self, side: str) -> tuple[int, bool]:
        return getattr(self, f"{side}_max_window_bits") or MAX_BITS, getattr(self, f"{side}_no_context_takeover")


class Deflater:
    """Compresses whole messages, in the order in which they are sent."""

    __slots__ = ("_bits", "_forgets", "_state")

    def __init__(self, bits: int, forgets: bool) -> None:
        self._bits = bits
        self._forgets = forgets
        self._state: zlib._Compress | None = None  # made for the first message: it has a quarter of a MiB

    def compress(self, data: bytes | memoryview) -> bytes:
        """The payload of a message (RFC 7692 7.2.1); ``data`` is not empty."""
        state = self._state or zlib.compressobj(wbits=-self._bits)
        if not self._forgets:
            self._state = state
        return (state.compress(data) + state.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class Inflater:
    """Expands messages piece by piece, and never more than a step at once."""

    __slots__ = ("_bits", "_forgets", "_state", "_recent", "_recent_size")

    def __init__(self, bits: int, forgets: bool) -> None:
        self._bits = max(bits, MIN_OWN_BITS)  # a larger window expands what was made with a smaller one
        self._forgets = forgets
        self._state: zlib._Decompress | None = None
        # The last output, at least a window of it, for a stream that goes on behind its final block.
        self._recent: deque[bytes] = deque()
        self._recent_size = 0

    def expand(self, piece: bytes | bytearray) -> Iterator[bytes]:
        """What comes of a piece of a message, in steps.  Raises Violation for what is no deflate data."""
        left: bytes | bytearray = piece
        while True:
            if self._state is None:
                self._state = zlib.decompressobj(wbits=-self._bits, zdict=b"".join(self._recent)[-_WINDOW:])
            state = self._state
            try:
                data = state.decompress(left, _STEP)
            except zlib.error as error:
                raise Violation(WebSocketStatus.INVALID_FRAME_PAYLOAD_DATA,
                                f"a compressed message is no deflate data: {error}") from None
            if data:
                self._remember(data)
                yield data
            if state.eof:
                self._state = None  # a final block (BFINAL): another stream may follow it (RFC 7692 7.2.3.5)
                left = state.unused_data
            else:
                left = state.unconsumed_tail
            if not left and (state.eof or len(data) < _STEP):
                return

    def finish(self) -> Iterator[bytes]:
        """The rest of a message, whose end did not travel.  Raises Violation, also where it ends inside of a block."""
        yield from self.expand(_TAIL)
        if self._state is not None and not _is_between_blocks(self._state):
            raise Violation(WebSocketStatus.INVALID_FRAME_PAYLOAD_DATA,
                            "a compressed message ends in the middle of its deflate data")
        if self._forgets:
            self._state = None
            self._recent.clear()
            self._recent_size = 0

    def _remember(self, data: bytes) -> None:
        recent = self._recent
        recent.append(data)
        self._recent_size += len(data)
        while self._recent_size - len(recent[0]) >= _WINDOW:
            self._recent_size -= len(recent.popleft())


def _is_between_blocks(state: zlib._Decompress) -> bool:
    probe = state.copy()
    try:
        probe.decompress(_FINAL_BLOCK)
    except zlib.error:
        return False
    return probe.eof
