"""A chat: what one says, all hear. Open http://127.0.0.1:4043/ in two windows. See README.rst."""

from pathlib import Path

from blockingio import ContentType, HttpRequest, HttpServer, HttpStatus, InternetAddress
from blockingio import WebSocket, WebSocketTransformer

PAGE = Path(__file__).with_name("chat.html")

sockets: set[WebSocket] = set()


def handle(request: HttpRequest) -> None:
    if WebSocketTransformer.is_upgrade_request(request):
        chat(request)
        return
    response = request.response
    if request.uri.path == "/":
        response.headers.content_type = ContentType.HTML
        response.write(PAGE.read_text(encoding="utf-8"))
    else:
        response.status_code = HttpStatus.NOT_FOUND
        response.writeln("There is only the chat, at /")
    response.close()


def chat(request: HttpRequest) -> None:
    with WebSocketTransformer.upgrade(request, allowed_origins=origins) as socket:
        socket.max_message_size = 10_000
        socket.ping_interval = 30
        sockets.add(socket)
        try:
            for message in socket:
                for other in list(sockets):
                    other.add(message)
        finally:
            sockets.discard(socket)


try:
    server = HttpServer.bind(InternetAddress.LOOPBACK_IP_V4, 4043)
    origins = [f"http://{host}:{server.port}" for host in ("127.0.0.1", "localhost")]
    print(f"Listening on http://{server.address.host}:{server.port}/", flush=True)
    server.for_each(handle, workers=100)
except OSError as error:
    raise SystemExit(error)
except KeyboardInterrupt:
    server.close()
