"""Files that are there compressed as well: ``name.br``, ``name.zst`` and ``name.gz`` beside ``name``.

Which one a client gets is its own choice, by the weights in Accept-Encoding (RFC 9110 12.5.3); among codings that it
likes equally the smallest file wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blockingio.http_server.mime import coding_of_name
from blockingio.http_server.representation import Representation
from blockingio.server.compression import weight_of, weights
from blockingio.values.headers import HttpHeaders
from blockingio.values.kept import kept

#: By Content-Encoding: what such a file's name ends in (RFC 7932, RFC 8878, RFC 1952).
ENDINGS = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

_ALL = tuple(ENDINGS.values())

# Browsers send a handful of different fields, each of a few dozen characters.
_kept_weights = kept(64, 256)(weights)


def neighbours_of(name: str) -> Iterator[tuple[str, str]]:
    """What a file's precompressed neighbours would be called, each with its coding; none for what is compressed."""
    if not name.endswith(_ALL) and coding_of_name(name) is None:
        for coding, ending in ENDINGS.items():
            yield name + ending, coding


def choose(plain: Representation, neighbours: Sequence[Representation], headers: HttpHeaders) -> Representation:
    """The one of these that a request with these headers is answered with."""
    if not neighbours:
        return plain
    values = headers.by_name.get("accept-encoding")
    if values is None:
        return plain
    accepted = _kept_weights(", ".join(values))
    best = max(neighbours, key=lambda neighbour: (weight_of(neighbour.coding or "", accepted), -neighbour.size))
    weight = weight_of(best.coding or "", accepted)
    return best if weight > 0 and weight >= weight_of("identity", accepted) else plain
