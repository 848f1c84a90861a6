"""What ends TLS in front of a cloud: it hands requests on and says that they came over TLS.

The local cloud itself speaks HTTP, which the policies of buckets refuse where IAM is enforced.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# These belong to one of the two connections.
HOP_BY_HOP = {"connection", "content-length", "expect", "transfer-encoding"}


@contextmanager
def terminator(endpoint: str) -> Iterator[str]:
    """Serve in front of an endpoint; gives where."""
    target = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            behind = http.client.HTTPConnection(target, timeout=60)
            # The host is part of what the caller signed.
            behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    behind.putheader(name, value)
            behind.putheader("Content-Length", str(len(body)))
            behind.putheader("X-Forwarded-Proto", "https")
            behind.endheaders(body)
            answer = behind.getresponse()
            content = answer.read()
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            behind.close()

        do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = handle_request

        def log_message(self, *_: object) -> None:
            """Say nothing: tests print what they have to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
