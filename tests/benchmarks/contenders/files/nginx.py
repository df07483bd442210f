"""nginx, where it is installed: one process, sendfile."""
import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.contenders import announce, free_port, wait_for

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
port = free_port()
prefix = Path(sys.argv[1], "nginx")
prefix.mkdir()
configuration = prefix / "nginx.conf"
configuration.write_text(CONFIGURATION.format(port=port, root=sys.argv[1],
                                              log="nginx.log" if "log" in sys.argv else "off"))
process = subprocess.Popen([program, "-p", str(prefix), "-c", str(configuration)])
wait_for(port, process)
announce(port, process)
process.wait()
