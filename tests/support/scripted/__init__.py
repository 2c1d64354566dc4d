"""A registry that does what a test tells it, and remembers what it was asked.

    with scripted.Registry() as reg:                    # everything right
        reg.push("team/app", "1", image)                # plant content, of support.images
        reg.on("GET blob", scripted.cut(0.5), digest=layer.digest, times=1)
        dray.run("copy", f"{reg.address}/team/app:1", ...)
        assert reg.count("GET blob", digest=layer.digest) == 2

It lives in a thread of the test's process. Leaving the `with` checks what must be so of every request (standing.py).
"""
import asyncio
import contextlib
import itertools
import secrets
import threading
import time

from .. import canary, images
from . import standing
from .api import Api, ranged, route
from .auth import Basic, Token, error
from .faults import (Action, action_of, body, cut, drip, drop_header, flip, flood, header, hold, html, length, raw, redirect,
                     reset, short, stall, status)
from .http import Closed, Request, Response, serve
from .profiles import PROFILES
from .store import Store, digest_of

__all__ = ["Action", "Basic", "Registry", "Request", "Response", "Storage", "Token", "body", "cut", "digest_of", "drip",
           "drop_header", "error", "flip", "flood", "header", "hold", "html", "length", "raw", "redirect", "reset", "short",
           "stall", "status", "PROFILES"]

_LOOP = None
_LOCK = threading.Lock()


def _loop():
    """One loop for all servers of the process."""
    global _LOOP
    with _LOCK:
        if not _LOOP:
            _LOOP = asyncio.new_event_loop()
            threading.Thread(target=_LOOP.run_forever, daemon=True, name="scripted").start()
    return _LOOP


class Rule:
    def __init__(self, operation, action, repo=None, digest=None, tag=None, nth=None, times=None):
        self.operation, self.action = operation, action_of(action)
        self.repo, self.reference, self.nth, self.times = repo, digest or tag, nth, times
        self.seen = self.done = 0

    def takes(self, request):
        if self.operation not in (request.operation, "any") or (self.repo and self.repo != request.repo):
            return False
        if self.reference and self.reference not in (request.reference, request.query.get("digest"),
                                                     request.query.get("mount")):
            return False
        self.seen += 1
        if (self.nth and self.seen != self.nth) or (self.times is not None and self.done >= self.times):
            return False
        self.done += 1
        return True


class Server:
    """What Registry and Storage share: a port, a record, rules."""

    def __init__(self, tls=None, name="127.0.0.1", record=None, check=True):
        self.requests = [] if record is None else record
        self.rules, self.check, self.name = [], check, name
        self.scheme = "https" if tls else "http"
        self._ssl = None
        if tls:
            import ssl
            self._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._ssl.load_cert_chain(*tls.issue(f"scripted-{secrets.token_hex(4)}"))
        self._numbers = itertools.count(1)
        self.connections = 0
        self._writers = set()

    def start(self):
        async def begin():
            return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl, backlog=256, limit=1 << 20)
        self._server = asyncio.run_coroutine_threadsafe(begin(), _loop()).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        self.address = f"{self.name}:{self.port}"
        return self

    def stop(self):
        async def end():
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
        asyncio.run_coroutine_threadsafe(end(), _loop()).result(10)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.stop()
        if self.check and kind is None:
            standing.check(self.requests)

    @property
    def url(self):
        return f"{self.scheme}://{self.address}"

    # --- rules and records ----------------------------------------------------------------------------------------

    def on(self, operation, action, **where):
        """What happens to requests of that operation ("any": all), from now on; the rule given last is asked first.
        where: repo, digest, tag; nth=k: only the k-th of them; times=n: only the first n. Returns the action."""
        rule = Rule(operation, action, **where)
        self.rules.insert(0, rule)
        return rule.action

    def forget(self):
        """Empty the record."""
        self.requests.clear()

    def of(self, operation=None, repo=None, digest=None, tag=None, method=None):
        reference = digest or tag
        return [request for request in list(self.requests)
                if request.origin == self.address and operation in (None, request.operation)
                and repo in (None, request.repo) and method in (None, request.method)
                and (reference in (None, request.reference) or reference == request.query.get("digest"))]

    def count(self, operation=None, **where):
        return len(self.of(operation, **where))

    # --- the way of a request -------------------------------------------------------------------------------------

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            await serve(reader, writer, self._answer)
        finally:
            self._writers.discard(writer)

    async def _answer(self, request, stream):
        request.origin, request.scheme, request.when = self.address, self.scheme, time.monotonic()
        self._route(request)
        self.requests.append(request)
        request.number = len(self.requests)
        action = next((rule.action for rule in self.rules if rule.takes(request)), Action())
        response = await action.early(request, stream)
        if response is None:
            request.body = await stream.body(request)
            await action.before(request, stream)
            response = self._respond(request)
        response = action.change(request, response) or response
        request.status = response.status
        if await action.send(request, response, stream):
            return
        await stream.write(response.head() + (b"" if request.method == "HEAD" else response.body))


class Registry(Server):
    """profile: a name of profiles.PROFILES; habits: single ones of profiles.Habits, over it. auth: Token or Basic.
    immutable: tags cannot be moved, in the way of the profile. storage: where blobs are redirected to, if the profile does.
    record: the list that several servers of one test write to, in the order in which they were asked."""

    def __init__(self, profile=None, auth=None, tls=None, name="127.0.0.1", record=None, check=True, storage=None,
                 immutable=False, elsewhere=None, **habits):
        super().__init__(tls, name, record, check)
        self.habits = type("Habits", (PROFILES[profile],), {
            key: staticmethod(value) if callable(value) else value for key, value in habits.items()})
        unknown = [key for key in habits if not hasattr(PROFILES[None], key)]
        assert not unknown, f"no such habits: {unknown}"
        self.store, self.auth, self.storage, self.immutable = Store(), auth, storage, immutable
        self.elsewhere = elsewhere
        self.api = Api(self)

    def _route(self, request):
        route(request)
        if self.auth and request.path == self.auth.path:
            request.operation = "token"

    def _respond(self, request):
        if self.habits.stalls_expect and request.has("expect"):
            return error(417, "UNSUPPORTED", "Expect")
        response = self.api.answer(request)
        if self.habits.cookie:
            response.headers.append(("Set-Cookie", f"{self.habits.cookie}=abc; Path=/; HttpOnly"))
        if self.habits.challenge_on_200 and request.operation == "ping" and response.status == 200:
            response.headers.append(("WWW-Authenticate", f"bearer realm={self.url}/token,service=x,scope="))
        return response

    # --- content --------------------------------------------------------------------------------------------------

    def push(self, repo, tag, artifact):
        """Plant an artifact of support.images, with all below it. tag None: by digest alone."""
        for part in images.tree(artifact):
            for blob in part.blobs:
                self.store.add_blob(repo, blob.data, blob.digest)
            self.store.add_manifest(repo, part.data, part.media_type, tag if part is artifact else None, part.digest)

    def tags(self, repo):
        """{tag: digest}"""
        known = self.store.repositories.get(repo)
        return dict(known.tags) if known else {}

    def manifest(self, repo, reference):
        known = self.store.repositories.get(repo)
        return known and known.find(reference)

    def blob(self, repo, digest):
        return self.store.blob(repo, digest)

    def holds(self, repo, artifact):
        """Is all of it in the repository, byte for byte?"""
        return all(self.manifest(repo, part.digest) and self.manifest(repo, part.digest).data == part.data
                   and all(self.blob(repo, blob.digest) == blob.data for blob in part.blobs)
                   for part in images.tree(artifact))


class Storage(Server):
    """Where a registry redirects to: URLs are signed, expire, and are good for one method; Authorization is refused."""

    def __init__(self, life=60, refuses_authorization=400, **more):
        super().__init__(**more)
        self.life, self.refuses_authorization = life, refuses_authorization
        self._signed = {}

    def sign(self, name, data, method="GET"):
        signature = canary.secret(secrets.token_hex(16))
        self._signed[signature] = (name, data, method, time.monotonic() + self.life)
        return f"{self.url}/data/{name}?X-Amz-Expires={self.life}&X-Amz-Signature={signature}"

    def _route(self, request):
        request.operation = f"{request.method} blob"
        request.reference = request.path.rpartition("/")[2]

    def _respond(self, request):
        if request.authorization and self.refuses_authorization:
            return Response(self.refuses_authorization, b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism "
                                                        b"allowed</Message></Error>", [("Content-Type", "application/xml")])
        name, data, method, ends = self._signed.get(request.query.get("X-Amz-Signature"), ("", b"", "", 0))
        if time.monotonic() > ends or method != request.method or request.reference != name:
            return Response(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
                            [("Content-Type", "application/xml")])
        return ranged(request, data)


@contextlib.contextmanager
def together(*servers):
    """Several servers that write into the record of the first."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            server.requests = servers[0].requests
            server.check = server is servers[0]
        yield [stack.enter_context(server) for server in servers]
