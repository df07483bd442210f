"""Tests of blockingio.wire: bytes in, bytes out, no socket."""
