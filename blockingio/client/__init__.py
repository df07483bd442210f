"""The client: HttpClient and what it gives and takes.  It never imports the server."""

from blockingio.client.auth import HttpClientBasicCredentials as HttpClientBasicCredentials
from blockingio.client.auth import HttpClientBearerCredentials as HttpClientBearerCredentials
from blockingio.client.auth import HttpClientCredentials as HttpClientCredentials
from blockingio.client.auth import HttpClientDigestCredentials as HttpClientDigestCredentials
from blockingio.client.client import HttpClient as HttpClient
from blockingio.client.request import HttpClientRequest as HttpClientRequest
from blockingio.client.response import HttpClientResponse as HttpClientResponse
from blockingio.client.response import HttpClientResponseCompressionState as HttpClientResponseCompressionState
