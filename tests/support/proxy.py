"""A proxy as http_proxy and https_proxy name one: CONNECT, and requests whose target is a whole URL."""
import http.client
import http.server
import select
import socket
import threading
import urllib.parse


class Proxy:
    """`seen` has (method, target, headers) of every request as it came here. `names`: {host:port: where that is here}, for
    hosts that are not ours; with it, nothing else can be reached."""

    def __init__(self, names=None):
        self.seen = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self):
                outer._note(self)
                place = names.get(self.path, "") if names is not None else self.path
                host, _, port = place.rpartition(":")
                if not host:
                    self.send_error(502)
                    return
                with socket.create_connection((host, int(port)), timeout=30) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    _pump(self.connection, upstream)
                self.close_connection = True

            def handle_any(self):
                outer._note(self)
                _relay(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients go away when they like
        self.address = "127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _note(self, request):
        self.seen.append((request.command, request.path, request.headers))

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


def _pump(one, other):
    while True:
        for readable in select.select([one, other], [], [])[0]:
            data = readable.recv(1 << 16)
            if not data:
                return
            (other if readable is one else one).sendall(data)


def _relay(request):
    url = urllib.parse.urlsplit(request.path)
    length = int(request.headers.get("Content-Length") or 0)
    body = request.rfile.read(length) if length else None
    headers = {name: value for name, value in request.headers.items() if not name.lower().startswith("proxy-")}
    upstream = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        upstream.request(request.command, url.path + (f"?{url.query}" if url.query else ""), body, headers)
        response = upstream.getresponse()
        data = response.read()
    finally:
        upstream.close()
    request.send_response(response.status)
    for name, value in response.headers.items():
        if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
            request.send_header(name, value)
    head = request.command == "HEAD"
    request.send_header("Content-Length", response.headers.get("Content-Length", "0") if head else str(len(data)))
    request.end_headers()
    request.wfile.write(b"" if head else data)
