"""Piece: how many of the bytes that were sent are the body's, wherever an answer is cut."""
from __future__ import annotations

import pytest

from blockingio.server.piece import Piece, pieces_of


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("shrinks", [False, True])
def test_every_byte_is_counted_once(step: int, shrinks: bool) -> None:
    before, body, after = b"head", b"body" * 5, b"end"
    whole = before + body + after
    for sent in range(len(whole) + 1):
        done, wire = min(max(sent - len(before), 0), len(body)), whole[:sent]
        for piece in pieces_of(before, body, after, sent):
            while piece.left:
                size = min(step, piece.left)
                wire += bytes(piece.view[:size])
                done += piece.advance(size)
                assert done == min(max(len(wire) - len(before), 0), len(body))
                if shrinks:
                    piece.shrink()
        assert wire == whole


def test_the_body_in_the_middle_of_one_buffer() -> None:
    piece = Piece(b"headbodyend", 0, 4, 8)
    assert [piece.advance(size) for size in (3, 3, 1, 3, 1)] == [0, 2, 1, 1, 0]
