"""Files, hosts and bodies on top of HttpServer: the public names of package:http_server.

    from blockingio.http_server import VirtualDirectory

    VirtualDirectory("public").serve(server)
"""

from blockingio.http_server.body_handler import (
    HttpBody, HttpBodyFileUpload, HttpBodyHandler, HttpClientResponseBody, HttpRequestBody)
from blockingio.http_server.form_data import HttpMultipartFormData
from blockingio.http_server.multipart import MimeMultipart, MimeMultipartTransformer
from blockingio.http_server.virtual_directory import VirtualDirectory
from blockingio.http_server.virtual_host import VirtualHost

__all__ = [
    "HttpBody", "HttpBodyFileUpload", "HttpBodyHandler", "HttpClientResponseBody", "HttpMultipartFormData",
    "HttpRequestBody", "MimeMultipart", "MimeMultipartTransformer", "VirtualDirectory", "VirtualHost"]
