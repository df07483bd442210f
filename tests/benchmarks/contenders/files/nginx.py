"""nginx, where it is installed: one process, sendfile."""
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.contenders import announce

CONFIGURATION = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log {log};
    autoindex on;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""

# Debian keeps it where only root's PATH leads.
program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
if not program:
    sys.exit("nginx is not installed")
with socket.create_server(("127.0.0.1", 0)) as finder:
    port: int = finder.getsockname()[1]
prefix = Path(sys.argv[1], "nginx")
prefix.mkdir()
configuration = prefix / "nginx.conf"
configuration.write_text(CONFIGURATION.format(port=port, root=sys.argv[1],
                                              log="nginx.log" if "log" in sys.argv else "off"))
process = subprocess.Popen([program, "-p", str(prefix), "-c", str(configuration)])
while True:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except ConnectionRefusedError:
        if process.poll() is not None:
            sys.exit("nginx did not start")
        time.sleep(0.01)
announce(port, process)
process.wait()
