"""waitress, with as many threads as there are busy connections."""
import waitress

from tests.benchmarks.contenders import announce, listening_socket
from tests.benchmarks.contenders.apps.wsgi import application

listener = listening_socket()
server = waitress.create_server(application, sockets=[listener], threads=8)
announce(listener.getsockname()[1])
server.run()
