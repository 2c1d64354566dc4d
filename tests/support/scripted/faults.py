"""Actions: what a server does wrong, once a test has asked for it with `Registry.on()`.

An action takes part where it wants to: before the body of the request is read (`early`), when the reply is made
(`change`), or when it is sent (`send`).
"""
import asyncio

from .http import Closed, Response


class Action:
    async def early(self, request, stream):
        """A Response that takes the place of everything, or None to go on. The body is still unread."""
        return None

    async def before(self, request, stream):
        """The body is read, nothing is done yet."""

    def change(self, request, response):
        """Change the reply, or return another one."""

    async def send(self, request, response, stream):
        """Send it in a way of its own: True when that is done."""
        return False


class _Change(Action):
    def __init__(self, function):
        self.function = function

    def change(self, request, response):
        return self.function(request, response)


def action_of(value):
    """An action from what a test gave: an action, a status, or a function (request, response)."""
    if isinstance(value, Action):
        return value
    return status(value) if isinstance(value, int) else _Change(value)


def _bytes(body):
    return body.encode() if isinstance(body, str) else body


class status(Action):
    """Answer with this instead; nothing is done. `early`: before the body of the request has been read."""

    def __init__(self, code, headers=None, body=b"", early=False):
        self.code, self.headers, self.body, self.is_early = code, dict(headers or {}), _bytes(body), early

    def reply(self):
        return Response(self.code, self.body, self.headers.items())

    async def early(self, request, stream):
        if self.is_early:
            await stream.write(self.reply().set("Connection", "close").head() + self.body)
            request.status = self.code
            raise Closed
        # The body is read, so that the connection stays; the handler is not asked.
        request.body = await stream.body(request)
        return self.reply()


class redirect(status):
    """`url` may be a function of the request."""

    def __init__(self, code, url):
        super().__init__(code)
        self.url = url

    def reply(self):
        raise NotImplementedError

    async def early(self, request, stream):
        request.body = await stream.body(request)
        url = self.url(request) if callable(self.url) else self.url
        return Response(self.code, b"", [("Location", url)])


class cut(Action):
    """Send `at` of the body (a part below 1, or so many bytes), then close; Content-Length is that of the whole."""

    def __init__(self, at, reset=False):
        self.at, self.reset = at, reset

    async def send(self, request, response, stream):
        length = int(len(response.body) * self.at) if isinstance(self.at, float) else self.at
        await stream.write(response.head() + response.body[:length])
        if self.reset:
            stream.reset()
        raise Closed


class short(Action):
    """A body that ends early, with a Content-Length that agrees: it looks whole."""

    def __init__(self, at):
        self.at = at

    def change(self, request, response):
        response.body = response.body[:int(len(response.body) * self.at) if isinstance(self.at, float) else self.at]


class drip(Action):
    """So many bytes each `every` seconds."""

    def __init__(self, size, every=0.05):
        self.size, self.every = size, every

    async def send(self, request, response, stream):
        await stream.write(response.head())
        for begin in range(0, len(response.body), self.size):
            await stream.write(response.body[begin:begin + self.size])
            await asyncio.sleep(self.every)
        return True


class stall(Action):
    """Send `at` of the body (None: not even the head), then nothing more, until the client goes away."""

    def __init__(self, at=None):
        self.at = at

    async def send(self, request, response, stream):
        if self.at is not None:
            length = int(len(response.body) * self.at) if isinstance(self.at, float) else self.at
            await stream.write(response.head() + response.body[:length])
        await stream.gone()
        raise Closed


class hold(Action):
    """The reply waits until `release()` is called; `reached` is set (a threading.Event) when a request has come so far.
    `before`: it waits before anything is done."""

    def __init__(self, before=False):
        import threading
        self.is_before = before
        self.reached, self._released = threading.Event(), threading.Event()

    def release(self):
        self._released.set()

    async def _wait(self):
        self.reached.set()
        while not self._released.is_set():
            await asyncio.sleep(0.01)

    async def before(self, request, stream):
        if self.is_before:
            await self._wait()

    async def send(self, request, response, stream):
        if not self.is_before:
            await self._wait()
        return False


class reset(Action):
    """The connection is reset. "early": after `at` bytes of the request's body; "before": the body is read and nothing
    done; "after": it is done, and the reply is lost."""

    def __init__(self, when="before", at=0):
        self.when, self.at = when, at

    async def early(self, request, stream):
        if self.when == "early":
            if self.at:
                request.body = await stream.reader.readexactly(self.at)
            stream.reset()
            raise Closed

    async def before(self, request, stream):
        if self.when == "before":
            stream.reset()
            raise Closed

    async def send(self, request, response, stream):
        stream.reset()
        raise Closed


class flip(Action):
    """One byte of the body is another: `at` from its beginning, or its middle."""

    def __init__(self, at=None):
        self.at = at

    def change(self, request, response):
        at = len(response.body) // 2 if self.at is None else self.at
        response.body = response.body[:at] + bytes([response.body[at] ^ 1]) + response.body[at + 1:]


class body(Action):
    """Another body, of another media type if one is given."""

    def __init__(self, data, media_type=None):
        self.data, self.media_type = _bytes(data), media_type

    def change(self, request, response):
        response.body = self.data
        if self.media_type:
            response.set("Content-Type", self.media_type)


class length(Action):
    """Content-Length says this; "" leaves it out, and the body ends with the connection."""

    def __init__(self, value):
        self.value = value

    def change(self, request, response):
        response.length = self.value
        if self.value == "":
            response.set("Connection", "close")

    async def send(self, request, response, stream):
        await stream.write(response.head() + (b"" if request.method == "HEAD" else response.body))
        raise Closed


class header(Action):
    def __init__(self, name, value):
        self.name, self.value = name, value

    def change(self, request, response):
        response.set(self.name, self.value(request) if callable(self.value) else self.value)


class drop_header(Action):
    def __init__(self, name):
        self.name = name

    def change(self, request, response):
        response.drop(self.name)


class raw(Action):
    """These bytes instead of a reply, and then the end."""

    def __init__(self, data):
        self.data = data

    async def send(self, request, response, stream):
        await stream.write(self.data(request, response) if callable(self.data) else self.data)
        raise Closed


def html(code=200):
    """A page for people where a document was asked for: a captive portal, a login, a gateway."""
    def change(request, response):
        page = b"<!DOCTYPE html><html><head><title>Please log in</title></head><body>hello</body></html>"
        return Response(code, page, [("Content-Type", "text/html; charset=utf-8")])
    return _Change(change)


def flood(lines=100000):
    """Header lines without end."""
    return raw(b"HTTP/1.1 200 OK\r\n" + b"X-Flood: " + b"x" * 60 + b"\r\n" + b"X-Flood: y\r\n" * lines)
