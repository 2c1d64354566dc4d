"""Who may do what: Basic, and tokens with their token server."""
import base64
import json
import re
import secrets
import time
import urllib.parse

from .. import canary
from .http import Response

_SCOPE = re.compile(r"^(?P<type>[a-z0-9]+)(?:\([a-z0-9]+\))?:(?P<name>.+):(?P<actions>[a-z,*]*)$")


def error(status, code, message="", detail=None, headers=()):
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": detail}]}).encode()
    return Response(status, body, [("Content-Type", "application/json"), *headers])


def basic_of(request):
    """(user, password) of a Basic header, else None."""
    scheme, _, value = request.authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


class Basic:
    """users: {name: password}."""

    path = None  # of the token server

    def __init__(self, users, realm="scripted"):
        self.users, self.realm = users, realm

    def check(self, request, scope, habits):
        who = basic_of(request)
        if who and self.users.get(who[0]) == who[1]:
            return None
        return error(401, "UNAUTHORIZED", "authentication required",
                     headers=[("WWW-Authenticate", f'Basic realm="{self.realm}"')])


class Token:
    """Bearer tokens for the scopes that were asked for and granted.

    users: {name: password}, who may do everything; `anonymous` are the actions that everybody has. `realm` is a path of the
    same server, or a URL whose path leads to it, too, where a test gives it several names."""

    def __init__(self, users=None, life=300, anonymous=("pull",), realm="/token", service="scripted", skew=0):
        self.users, self.life, self.anonymous = users or {}, life, set(anonymous)
        self.realm, self.service, self.skew = realm, service, skew
        self.path = urllib.parse.urlsplit(realm).path
        self.issued = {}  # token: (when it ends, {name: actions}, from when it is good)
        self.owners = {}  # token: user; of all that were ever issued
        self.refresh_tokens = {}  # text: user

    # --- at the registry ------------------------------------------------------------------------------------------

    def check(self, request, scope, habits):
        scheme, _, text = request.authorization.partition(" ")
        only_basic = habits.basic_trap and request.operation == "catalog"
        if scheme.lower() == "bearer" and self._covers(text, scope, habits) and not only_basic:
            return None
        who = basic_of(request) if habits.basic_trap or habits.basic_too else None
        if who and self.users.get(who[0]) == who[1]:
            return None
        return self.challenge(request, scope, habits)

    def _covers(self, text, scope, habits):
        ends, granted, begins = self.issued.get(text, (0, {}, 0))
        now = time.monotonic()
        if not begins <= now < ends:
            return False
        if habits.opaque_tokens or not scope:
            return True
        _, name, actions = split_scope(scope)
        return set(actions) <= granted.get(name, set()) or "*" in granted.get(name, set())

    def revoke(self):
        """Every token is worth nothing from now on."""
        self.issued.clear()

    def challenge(self, request, scope, habits):
        if habits.no_challenge and request.operation != "ping":
            return error(401, "UNAUTHORIZED", "authentication required")
        if habits.basic_trap and (request.authorization or request.operation == "catalog"):
            return error(401, "UNAUTHORIZED", "unauthorized", headers=[("WWW-Authenticate", 'Basic realm="harbor"')])
        realm = self.realm if "://" in self.realm else f"{request.scheme}://{request.header('host')}{self.realm}"
        said = habits.scope if habits.scope is not None else scope
        parts = [("realm", realm), ("service", self.service)] + ([("scope", said)] if said is not None else [])
        if request.authorization:
            is_good = self._covers(request.authorization.partition(" ")[2], None, habits)
            parts.append(("error", "insufficient_scope" if is_good else "invalid_token"))
        text = ",".join(f"{name}={value}" if habits.unquoted else f'{name}="{value}"' for name, value in parts)
        headers = [("WWW-Authenticate", f"{'bearer' if habits.unquoted else 'Bearer'} {text}")]
        if habits.basic_too:
            headers.append(("WWW-Authenticate", "Basic"))
        return error(401, "UNAUTHORIZED", "authentication required", headers=headers)

    # --- at the token server --------------------------------------------------------------------------------------

    def answer(self, request, habits):
        if request.method == "POST":
            return self._answer_post(request, habits)
        who = basic_of(request)
        if who and self.users.get(who[0]) != who[1]:
            return error(401, "UNAUTHORIZED", "wrong user name or password")
        return self._grant([value for name, value in request.queries if name == "scope"], who and who[0], habits)

    def _answer_post(self, request, habits):
        if habits.token_post:
            return error(habits.token_post, "UNSUPPORTED", "no POST here")
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if form.get("grant_type") == "refresh_token":
            user = self.refresh_tokens.get(form.get("refresh_token"))
        else:
            user = form.get("username") if self.users.get(form.get("username")) == form.get("password") else None
        if not user:
            return error(401, "UNAUTHORIZED", "no such refresh token")
        return self._grant(form.get("scope", "").split(), user, habits)

    def _grant(self, scopes, user, habits):
        scopes = [part for scope in scopes for part in scope.split()]
        if habits.refuses_scopes:
            refusal = habits.refuses_scopes(scopes, user)
            if refusal:
                return refusal
        granted = {}
        for scope in scopes:
            _, name, actions = split_scope(scope)
            granted.setdefault(name, set()).update(actions if user else set(actions) & self.anonymous)
        token = canary.secret(secrets.token_urlsafe(24))
        self.owners[token] = user
        now = time.monotonic()
        self.issued[token] = (now + self.skew + self.life, granted, now + self.skew)
        reply = {habits.token_key: token, "expires_in": self.life}
        if habits.token_key_alone:
            del reply["expires_in"]
        return Response(200, json.dumps(reply).encode(), [("Content-Type", "application/json")])


def split_scope(scope):
    """(type, name, [actions]) of `type:name:actions`; of another text ("aws", "*"), the text as the name."""
    found = _SCOPE.match(scope)
    return (found["type"], found["name"], found["actions"].split(",")) if found else ("", scope, ["pull"])
