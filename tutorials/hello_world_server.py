"""The smallest server: it answers every request with a greeting. See README.rst."""

from blockingio import HttpServer, InternetAddress

try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4040)
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    for request in server:
        request.response.write("Hello, world!")
        request.response.close()
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
