"""Clients that send the same request over one connection, one after the other; argv is PORT KIND SECONDS.

    get     GET, answered with 13 bytes
    post    POST of 1 KiB
    tls     GET by https; the certificate is not verified
"""
from __future__ import annotations

import sys

KIND, PORT, SECONDS = sys.argv[2], int(sys.argv[1]), float(sys.argv[3])
SCHEME = "https" if KIND == "tls" else "http"
URL = f"{SCHEME}://127.0.0.1:{PORT}/"
CONTENT = bytes(1024)
