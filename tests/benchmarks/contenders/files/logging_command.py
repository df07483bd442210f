"""python -m blockingio: a process of its own, with its log on."""
import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.contenders import announce

process = subprocess.Popen([sys.executable, "-m", "blockingio", "--port", "0", "--log-file",
                            str(Path(sys.argv[1], "command.log")), sys.argv[1]],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
assert process.stdout
lines = []
for line in process.stdout:
    lines.append(line)
    if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
        break
else:
    sys.exit("".join(lines))
announce(int(found[1]), process)
process.wait()
