"""A token server: Basic in, signed JWT out, as docker's token specification has it.

Who may do what is a table of {user: (password, grant)}, where grant(repository) gives the allowed actions. A user of
None is whoever comes without credentials. What is asked for and not granted is left out, not refused.
"""
import base64
import collections
import http.server
import json
import threading
import time
import urllib.parse
import uuid

from . import canary

SERVICE = "dray-test"
ISSUER = "dray-test-issuer"


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class TokenServer:
    def __init__(self, signer, users, lifetime=300):
        self.signer, self.users, self.lifetime = signer, users, lifetime
        self.requests = []  # (user, scopes, status)
        self._lock = threading.Lock()
        self._cache = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer._answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def token(self, user, access):
        """A signed token for access = {repository: [actions]}; one signature serves equal requests for a while."""
        now = int(time.time())
        key = (user, tuple(sorted((r, tuple(a)) for r, a in access.items())))
        with self._lock:
            token, made = self._cache.get(key, (None, 0))
            if not token or now > made + self.lifetime // 3:
                token, made = self._sign(user, access, now), now
                self._cache[key] = (token, made)
        return token, made + self.lifetime - now

    def _sign(self, user, access, now):
        header = {"typ": "JWT", "alg": "RS256", "x5c": self.signer.x5c}
        claims = {
            "iss": ISSUER, "sub": user or "", "aud": SERVICE, "exp": now + self.lifetime, "nbf": now - 10, "iat": now,
            "jti": canary.secret(uuid.uuid4().hex),
            "access": [{"type": "repository", "name": r, "actions": list(a)} for r, a in access.items() if a]}
        text = b".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
        return (text + b"." + _b64(self.signer.sign(text))).decode()

    def _who(self, authorization):
        """(user, known)"""
        if not authorization:
            return None, None in self.users
        kind, _, coded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(coded).decode().partition(":")
        except ValueError:
            return None, False
        known = kind.lower() == "basic" and user in self.users and self.users[user][0] == password
        return user, known

    def _answer(self, request):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        user, known = self._who(request.headers.get("Authorization"))
        scopes = [s for text in query.get("scope", []) for s in text.split(" ") if s]
        status = 200 if known and query.get("service") == [SERVICE] else 401
        self.requests.append((user, scopes, status))
        if status != 200:
            reason = {"code": "UNAUTHORIZED", "message": "incorrect username or password"}
            self._reply(request, 401, {"errors": [reason]})
            return
        access = collections.defaultdict(list)
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            repository, _, actions = rest.rpartition(":")
            if kind == "repository":
                granted = self.users[user][1](repository)
                access[repository] += [a for a in actions.split(",") if a in granted]
        token, expires_in = self.token(user, access)
        self._reply(request, 200, {"token": token, "access_token": token, "expires_in": expires_in})

    @staticmethod
    def _reply(request, status, value):
        body = json.dumps(value).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
