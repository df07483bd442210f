"""How a server of your own takes HTTP/1.1: ``python -m blockingio.check URL``.

Some 140 raw requests, most of them wrong, and what RFC 9110 and RFC 9112 ask a server to do with each.  The same rows
are the conformance tests of this library.
"""
