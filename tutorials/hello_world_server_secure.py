"""The smallest server over HTTPS, with the certificate beside it. See README.rst."""

from pathlib import Path

from blockingio import HttpServer, InternetAddress, SecurityContext

certificates = Path(__file__).parent / "certificates"
try:
    context = SecurityContext()
    context.use_certificate_chain(certificates / "server_chain.pem")
    context.use_private_key(certificates / "server_key.pem")

    server = HttpServer.bind_secure(InternetAddress.LOOPBACK_IP_V4, 4047, context)
    print(f"Listening on https://{server.address.host}:{server.port}/", flush=True)
    for request in server:
        request.response.write("Hello, world!")
        request.response.close()
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
