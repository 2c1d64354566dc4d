"""HTTP/1.1 on asyncio, raw enough that a test can break it: requests are read, replies are bytes on a stream."""
import asyncio
import dataclasses
import socket
import struct
import urllib.parse

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently",
           302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
           400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           406: "Not Acceptable", 409: "Conflict", 411: "Length Required", 412: "Precondition Failed",
           413: "Payload Too Large", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
           429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}


@dataclasses.dataclass
class Request:
    """What a client sent, and what became of it."""
    method: str
    target: str
    headers: list  # (name in lower case, value), in their order
    origin: str = ""  # host:port of the server that got it
    operation: str = "other"  # "GET manifest", "PUT blob", "tags", ...: see api.py
    repo: str = ""
    reference: str = ""  # tag, digest or upload id
    body: bytes = b""
    status: int = 0
    number: int = 0  # of all requests to all servers of the test that share a record, from 1

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        """{name: value}; the last of a name that is given twice."""
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def queries(self):
        return urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name, default=""):
        return next((value for key, value in self.headers if key == name.lower()), default)

    def has(self, name):
        return any(key == name.lower() for key, _ in self.headers)

    @property
    def authorization(self):
        return self.header("authorization")

    @property
    def body_bytes(self):
        return len(self.body)

    def __str__(self):
        return f"{self.method} {self.target} at {self.origin}: {self.status}"


class Response:
    def __init__(self, status=200, body=b"", headers=()):
        self.status, self.body, self.headers = status, body, list(headers)
        self.length = None  # what Content-Length says, where it lies; "" for none at all

    def set(self, name, value):
        self.drop(name)
        self.headers.append((name, value))
        return self

    def drop(self, name):
        self.headers = [(key, value) for key, value in self.headers if key.lower() != name.lower()]
        return self

    def get(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def head(self):
        """The bytes before the body."""
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if length != "" and self.status not in (204, 304):
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Stream:
    """One connection, from the server's side."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def write(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def reset(self):
        """A RST, and not a FIN."""
        sock = self.writer.get_extra_info("socket")
        if sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self):
        self.writer.close()

    async def gone(self):
        """Wait until the client has closed its side."""
        while await self.reader.read(65536):
            pass

    async def head(self):
        """(method, target, headers), or None when the client has closed the connection."""
        first = await self.reader.read(1)
        if first in (b"", b"\x16"):
            return None  # nothing more, or somebody who tries TLS first
        line = first + await self.reader.readline()
        method, target, _ = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
        headers = []
        while (line := await self.reader.readline()) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip().lower(), value.strip()))
        return method, target, headers

    async def body(self, request):
        if "chunked" in request.header("transfer-encoding"):
            data = b""
            while size := int((await self.reader.readline()).split(b";")[0] or b"0", 16):
                data += await self.reader.readexactly(size)
                await self.reader.readline()
            await self.reader.readline()
            return data
        length = int(request.header("content-length") or 0)
        return await self.reader.readexactly(length) if length else b""


class Closed(Exception):
    """The action of a test has ended the connection."""


async def serve(reader, writer, answer):
    """Requests of one connection, one after the other, each given to `answer(request, stream)`."""
    stream = Stream(reader, writer)
    try:
        while head := await stream.head():
            request = Request(*head)
            await answer(request, stream)
            if request.header("connection").lower() == "close":
                break
    except (Closed, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        pass
    finally:
        writer.close()
