"""``make check-peers``: what ``python -m blockingio.check`` finds at other servers, as a table for the README.

Each server is a process of its own (peer), with a handler that reads the body and answers; one that is not installed
has no row.
"""
