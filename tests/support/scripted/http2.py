"""A registry that also speaks HTTP/2, and does wrong there what a test tells it. HTTP/1.1 is as ever, on the same port.

Actions of HTTP/2 are given to `on()` as others are; over HTTP/1.1 they do nothing. Other actions work here only by what
they do to the reply.
"""
import asyncio
import secrets
import ssl

import h2.config
import h2.connection
import h2.errors
import h2.events

from . import Registry
from .faults import Action
from .http import Request


class H2Action(Action):
    async def over_h2(self, connection, stream_id):
        """True: there is no reply."""
        return False


class ResetStream(H2Action):
    """RST_STREAM instead of a reply."""

    def __init__(self, code=h2.errors.ErrorCodes.INTERNAL_ERROR):
        self.code = code

    async def over_h2(self, connection, stream_id):
        connection.h2.reset_stream(stream_id, self.code)
        return True


class GoAway(H2Action):
    """GOAWAY while the request is here, which it says has not been looked at; then the end."""

    def __init__(self, code=h2.errors.ErrorCodes.NO_ERROR):
        self.code = code

    async def over_h2(self, connection, stream_id):
        connection.h2.close_connection(self.code, last_stream_id=max(stream_id - 2, 0))
        await connection.flush()
        connection.writer.close()
        return True


class Die(H2Action):
    """The connection ends before the first byte of a reply."""

    async def over_h2(self, connection, stream_id):
        connection.writer.transport.abort()
        return True


class Misdirected(H2Action):
    """421: this connection is another host's (GitLab, behind one certificate)."""

    async def over_h2(self, connection, stream_id):
        connection.h2.send_headers(stream_id, [(":status", "421"), ("content-length", "0")], end_stream=True)
        return True


class Connection:
    def __init__(self, registry, reader, writer):
        self.registry, self.reader, self.writer = registry, reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.heads, self.bodies, self.waiting = {}, {}, {}

    async def flush(self):
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def run(self):
        self.h2.initiate_connection()
        await self.flush()
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    await self.take(event)
                await self.flush()
        except (ConnectionError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.writer.close()

    async def take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.heads[event.stream_id], self.bodies[event.stream_id] = event.headers, b""
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            await self.answer(event.stream_id)
        for stream_id in list(self.waiting):
            self.send_body(stream_id)

    async def answer(self, stream_id):
        registry, fields = self.registry, dict(self.heads[stream_id])
        headers = [(name, value) for name, value in self.heads[stream_id] if not name.startswith(":")]
        request = Request(fields[":method"], fields[":path"], [("host", fields[":authority"]), *headers])
        request.origin, request.scheme, request.version = registry.address, "https", 2
        request.body = self.bodies.pop(stream_id)
        registry._route(request)
        registry.requests.append(request)
        action = next((rule.action for rule in registry.rules if rule.takes(request)), Action())
        if isinstance(action, H2Action) and await action.over_h2(self, stream_id):
            return
        response = registry._respond(request)
        response = action.change(request, response) or response
        request.status = response.status
        body = b"" if request.method == "HEAD" else response.body
        self.h2.send_headers(stream_id, [
            (":status", str(response.status)), ("content-length", str(len(response.body))),
            *((name.lower(), value) for name, value in response.headers)], end_stream=not body)
        if body:
            self.waiting[stream_id] = body
            self.send_body(stream_id)

    def send_body(self, stream_id):
        while body := self.waiting.get(stream_id):
            size = min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size, len(body))
            if not size:
                return
            self.h2.send_data(stream_id, body[:size], end_stream=size == len(body))
            self.waiting[stream_id] = body[size:]
        self.waiting.pop(stream_id, None)


class Http2Registry(Registry):
    def __init__(self, authority, name="localhost", hosts=("localhost",), **more):
        super().__init__(name=name, **more)
        self.scheme = "https"
        self._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ssl.load_cert_chain(*authority.issue(f"http2-{secrets.token_hex(4)}", hosts=hosts))
        self._ssl.set_alpn_protocols(["h2", "http/1.1"])
        self.versions = []  # of the connections, in their order

    async def _serve(self, reader, writer):
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        self.versions.append(chosen)
        if chosen != "h2":
            return await super()._serve(reader, writer)
        self.connections += 1
        self._writers.add(writer)
        try:
            await Connection(self, reader, writer).run()
        except asyncio.CancelledError:
            pass
        finally:
            self._writers.discard(writer)
