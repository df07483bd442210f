"""Tests of blockingio.server, through real sockets."""
