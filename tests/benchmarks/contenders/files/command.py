"""What `python -m blockingio --upload` serves, without its log."""
import sys

from blockingio import HttpServer
from blockingio.cli.site import Site, SiteOptions
from tests.benchmarks.contenders import BACKLOG, announce

site = Site(sys.argv[1], SiteOptions(upload=True))
server = HttpServer.bind("127.0.0.1", 0, backlog=BACKLOG)
server.auto_compress = True
announce(server.port)
server.for_each(site.handle, workers=8)
