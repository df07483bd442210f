"""Bytes to message and back, for server and client alike; knows callables, never a socket."""
