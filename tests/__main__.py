"""The whole suite under coverage, as ``make test`` runs it: in two processes, because most tests wait.

With arguments they are pytest's, for one process: ``python -m tests -k uri``.  Exits 0 where all passed.
"""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile

# About half of the time; all that is not named here is the other half.
HALF = ["client", "conformance", "net", "server", "values", "wire"]

PYTEST = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]


def main() -> int:
    if sys.argv[1:]:
        return subprocess.call([*PYTEST, *sys.argv[1:]])
    folders = [os.path.join("tests", name) for name in HALF]
    with tempfile.TemporaryFile() as output:
        other = subprocess.Popen([*PYTEST, "-p", "no:cacheprovider", *folders], stdout=output, stderr=subprocess.STDOUT)
        try:
            status = subprocess.call([*PYTEST, *(f"--ignore={folder}" for folder in folders)])
            other_status = other.wait()
        finally:
            if other.poll() is None:
                other.terminate()
                other.wait()
        output.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(output.read())
    return status or other_status


if __name__ == "__main__":
    sys.exit(main())
