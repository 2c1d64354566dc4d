"""A proxy in front of a registry that does wrong what a test tells it to.

A rule is a function (method, path) -> None, or what to do: "flip" a byte in the middle of the body, a Cut (send
a part of it, then close the connection) or "cut" for half of it, a Hold (send half of it, or nothing of a reply without
a body, then wait), an int (answer with this status), or bytes (send these).
"""
import http.client
import http.server
import select
import socket
import threading

_NOT_COPIED = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Hold:
    """`reached` is set when a client has half of the body; it gets the rest after `release` is set. `left` is set when
    it goes away instead."""

    def __init__(self):
        self.reached, self.release, self.left = threading.Event(), threading.Event(), threading.Event()

    def wait(self, connection):
        self.reached.set()
        for _ in range(1200):
            if self.release.wait(0.05):
                return
            if select.select([connection], [], [], 0)[0] and not connection.recv(1, socket.MSG_PEEK):
                self.left.set()
                return


class Cut:
    def __init__(self, part):
        self.part = part


class Faulty:
    def __init__(self, upstream, rule=lambda method, path: None):
        self.upstream, self.rule = upstream, rule
        self.requests = []  # (method, path)
        self.ranges = []  # (path, Range) of those that have one
        self.taken = []  # (method, path, bytes of the body)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                outer._relay(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients of these tests go away in the middle
        self.address = "127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _relay(self, request):
        self.requests.append((request.command, request.path))
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length) if length else None
        self.taken.append((request.command, request.path, len(body or b"")))
        if "Range" in request.headers:
            self.ranges.append((request.path, request.headers["Range"]))
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            # The Host goes through, so that upload locations lead back here.
            connection.request(request.command, request.path, body=body, headers=dict(request.headers))
            response = connection.getresponse()
            status, headers, data = response.status, response.headers, response.read()
        finally:
            connection.close()
        todo = self.rule(request.command, request.path)
        if isinstance(todo, int):
            status, data = todo, b""
        elif isinstance(todo, bytes):
            data = todo
        elif todo == "flip" and data:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        self._answer(request, status, headers, data, todo)

    @staticmethod
    def _answer(request, status, headers, data, todo):
        if isinstance(todo, Hold) and not data:
            todo.wait(request.connection)
        request.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_COPIED:
                request.send_header(name, value)
        head = request.command == "HEAD"
        request.send_header("Content-Length", headers.get("Content-Length", "0") if head else str(len(data)))
        request.end_headers()
        if head:
            return
        if todo == "cut":
            todo = Cut(0.5)
        if isinstance(todo, Cut):
            request.wfile.write(data[:int(len(data) * todo.part)])
            request.close_connection = True
            return
        half = len(data) // 2
        if isinstance(todo, Hold) and data:
            request.wfile.write(data[:half])
            request.wfile.flush()
            todo.wait(request.connection)
            data = data[half:]
        request.wfile.write(data)
