"""granian (Rust), serving WSGI with one worker process."""
import subprocess
import sys

import granian  # noqa: F401  # an ImportError says why it cannot run

from tests.benchmarks.contenders import announce, free_port, wait_for
from tests.benchmarks.contenders.apps import CHAIN, KEY, TLS

CODE = """
import sys
from pathlib import Path
from granian import Granian
port, chain, key = sys.argv[-3:]
secure = {"ssl_cert": Path(chain), "ssl_key": Path(key)} if chain else {}
Granian("tests.benchmarks.contenders.apps.wsgi:application", address="127.0.0.1", port=int(port), interface="wsgi",
        workers=1, websockets=False, log_enabled=False, backlog=1024, **secure).serve()
"""

port = free_port()
secure = [str(CHAIN), str(KEY)] if TLS else ["", ""]
process = subprocess.Popen([sys.executable, "-c", CODE, *sys.argv[1:], str(port), *secure])
wait_for(port, process)
announce(port, process)
process.wait()
