"""Connections, clocks, certificates and storms: what goes wrong below the protocol (THREATS 1 to 11)."""
import asyncio
import datetime
import resource
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support import dray, images, nginx, pki, scripted

LIMITS = "limits: {connect-timeout: 1s, stall-timeout: 1s}\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def image(repo):
    return images.Image([images.Layer(repo, 100_000)])


def sync(directory, sources, settings="", target=None):
    """Each of {address/repo: anything} to a layout, or to `target`."""
    entries = "".join(f"  - {{source: '{source}', target: '{target or f'oci:{directory}/out'}'}}\n" for source in sources)
    return dray.sync(dray.write_config(directory / "c.yaml", f"{settings}{LIMITS}repos:\n{entries}"))


def failures(result):
    return [(failure["kind"], failure["message"]) for failure in result.report["failures"]]


# --- silence (T-5) ---------------------------------------------------------------------------------------------------

class Drips(scripted.Action):
    async def send(self, request, response, stream):
        await stream.write(response.head())
        for byte in response.body:
            await stream.write(bytes([byte]))
            await asyncio.sleep(0.2)
        return True


class StopsReading(scripted.Action):
    """A zero window: nothing more of the body is taken."""

    async def early(self, request, stream):
        stream.writer.transport.pause_reading()
        await asyncio.sleep(4)
        stream.reset()
        raise scripted.http.Closed


# covers: T-5
def test_target_that_stops_reading_is_left(repo, tmp_path):
    image = images.Image([images.Layer(repo, 30 << 20)])  # more than the sockets of both sides hold
    with scripted.Registry() as source, scripted.Registry(name="localhost", check=False) as target:
        source.push(repo, "1", image)
        target.on("PUT blob", StopsReading(), digest=image.layers[0].digest)
        result = sync(tmp_path, [f"{source.address}/{repo}"], target=f"{target.address}/{repo}").expect(8)
        [(kind, message)] = failures(result)
        assert kind == "timeout" and ("no byte within 1.0s" in message or "less than 1 KiB/s" in message)
        assert not target.tags(repo)


class Listener:
    """A port whose connections are handled by `serve(socket)`, in threads."""

    def __init__(self, serve):
        self.socket, self.serve, self.accepted, self.open = socket.create_server(("127.0.0.1", 0), backlog=64), serve, 0, []
        self.address = f"localhost:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            self.open.append(connection)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for connection in self.open:
            connection.close()


def half_a_handshake(connection):
    connection.recv(4096)
    connection.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00")  # the beginning of a ServerHello
    connection.recv(1)


def reset_after_hello(connection):
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


# covers: T-5, T-6, T-9, HTTP-11
def test_stalls_end_with_the_phase_named_and_others_go_on(authority, repo, tmp_path):
    """All in one run, since each takes as long as its retries."""
    def old_tls(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("old"))
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.wrap_socket(connection, server_side=True)

    stalls = {"drip": (Drips(), "less than 1 KiB/s for 1.0s"), "head": (scripted.stall(0), "no byte within 1.0s"),
              "middle": (scripted.stall(0.5), "no byte within 1.0s")}
    serves = [(half_a_handshake, ("within", "timed out", "timeout")), (reset_after_hello, ("reset", "ssl")), (old_tls, ("tls",))]
    with scripted.Registry() as registry, Listener(serves[0][0]) as half, Listener(serves[1][0]) as cut, Listener(serves[2][0]) as old:
        sources = [f"{registry.address}/{repo}/well"]
        registry.push(f"{repo}/well", "1", images.Image([images.Layer(f"{repo} well")]))
        for name, (action, _) in stalls.items():
            image = images.Image([images.Layer(f"{repo} {name}", 100_000)])
            registry.push(f"{repo}/{name}", "1", image)
            registry.on("GET blob", action, digest=image.layers[0].digest)
            sources.append(f"{registry.address}/{repo}/{name}")
        listeners = half, cut, old
        settings = "registries:\n" + "".join(
            f"  {one.address}: {{tls: {{ca: {authority.certificate}}}}}\n" for one in listeners)
        begun = time.monotonic()
        result = sync(tmp_path, [*sources, *(f"{one.address}/{repo}:1" for one in listeners)], settings).expect(1, 9)
        assert time.monotonic() - begun < 40
        assert result.report["images"]["copied"] == 1
        assert len(failures(result)) == 6
        for name, (_, says) in stalls.items():
            [(kind, message)] = [found for found in failures(result) if f"{repo}/{name}" in found[1]]
            assert kind == "timeout" and says in message and registry.address in message
            asked = [request.reference for request in registry.of("GET blob", repo=f"{repo}/{name}")]
            assert 2 <= max(asked.count(digest) for digest in asked) <= 7
        for one, (_, says) in zip(listeners, serves):
            [(kind, message)] = [found for found in failures(result) if one.address in found[1]]
            assert kind in ("timeout", "unavailable", "refused") and any(word in message.lower() for word in says), message


# --- certificates (T-9) ----------------------------------------------------------------------------------------------

def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificate(authority, directory, kind):
    """(certificate, key) of a server with that fault."""
    if kind == "unknown authority":
        return pki.Authority(directory / "other", "somebody else").issue("server")
    if kind == "another name":
        return authority.issue("another", hosts=("other.test",), addresses=("192.0.2.1",))
    if kind == "for clients":
        return authority.issue("client", usage="clientAuth")
    if kind == "self-signed":
        made = directory / "self.crt", directory / "self.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost", "-out", made[0], "-keyout", made[1])
        return made
    if kind in ("expired", "not yet valid"):
        _, key = authority.issue(kind.replace(" ", "-"))
        request, made = authority.directory / f"{kind.replace(' ', '-')}.csr", directory / "dated.crt"
        days = -20 if kind == "expired" else 20
        begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        stamp = "%Y%m%d%H%M%SZ"
        (directory / "index.txt").write_text("")
        (directory / "ca.cnf").write_text(f"[ca]\ndefault_ca=x\n[x]\nnew_certs_dir={directory}\ndatabase={directory}/index.txt\n"
                                          "rand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-notext", "-config", directory / "ca.cnf", "-cert", authority.certificate, "-keyfile",
                authority.directory / "ca.key", "-in", request, "-out", made, "-startdate", begin.strftime(stamp), "-enddate",
                (begin + datetime.timedelta(days=10)).strftime(stamp), "-extfile", authority.directory / f"{kind.replace(' ', '-')}.ext")
        return made, key
    return authority.issue("good")


# covers: T-9
@pytest.mark.parametrize("kind, says", [
    ("expired", "expired"), ("not yet valid", "not yet valid"), ("another name", "name"), ("unknown authority", "certificate"),
    ("self-signed", "self"), ("for clients", "purpose"),
])
def test_certificate_that_is_no_good(kind, says, authority, image, repo, tmp_path):
    """A registry beside it whose certificate nobody looks at changes nothing for it."""
    class Bad:
        @staticmethod
        def issue(name):
            return certificate(authority, tmp_path, kind)
    with scripted.Registry(tls=Bad, name="localhost") as bad, scripted.Registry(tls=Bad, name="127.0.0.1") as lax:
        for registry in bad, lax:
            registry.push(repo, "1", image)
        settings = (f"registries:\n  {bad.address}: {{tls: {{ca: {authority.certificate}}}}}\n"
                    f"  {lax.address}: {{tls: insecure}}\n")
        result = sync(tmp_path, [f"{lax.address}/{repo}", f"{bad.address}/{repo}"], settings).expect(9)
        [(kind_said, message)] = failures(result)
        assert kind_said == "refused" and bad.address in message and says in message.lower(), message
        assert result.report["images"]["copied"] == 1
        assert lax.address in result.stderr and "insecure" in result.stderr.lower()  # in every run
        assert not bad.requests


# --- the wrong one of http and https ---------------------------------------------------------------------------------

def tls_alert(connection):
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x0a")  # unexpected_message


def silent_end(connection):
    connection.recv(4096)
    connection.close()


def plain_refusal(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")


@pytest.mark.parametrize("serve, tls, kind", [(tls_alert, "off", "protocol"), (silent_end, "off", "unavailable"),
                                              (plain_refusal, "on", "unavailable")])
def test_wrong_scheme_is_told_with_the_setting(serve, tls, kind, repo, tmp_path):
    with Listener(serve) as listener:
        result = sync(tmp_path, [f"{listener.address}/{repo}:1"], f"registries: {{'{listener.address}': {{tls: {tls}}}}}\n")
        [(said, message)] = failures(result.expect(4, 8))
        assert said == kind and listener.address in message
        assert f"tls is {tls}" in message and f"set it to {'on' if tls == 'off' else 'off'}" in message, message


def test_plain_http_to_nginx_with_tls(authority, repo, tmp_path):
    proxy = nginx.Nginx(tmp_path / "nginx", *authority.issue("nginx"))
    proxy.start("127.0.0.1:1")
    try:
        result = dray.run("inspect", f"{proxy.address}/{repo}:1", cwd=tmp_path).expect(4)
        assert "400 Bad Request: the host speaks TLS there" in result.stderr and "<" not in result.stderr, result
    finally:
        proxy.stop()


def test_end_without_an_answer_of_who_has_answered_is_no_matter_of_tls(image, repo, tmp_path):
    with scripted.Registry() as registry:
        registry.push(repo, "1", image)
        registry.on("GET blob", scripted.reset())
        result = dray.run("copy", f"{registry.address}/{repo}:1", f"oci:{tmp_path}/out", cwd=tmp_path).expect(8)
        assert "TLS" not in result.stderr, result


# --- storms (T-6) ----------------------------------------------------------------------------------------------------

class Storm(scripted.Action):
    """503 with a page, for so many of the requests, the same ones each time."""

    def __init__(self, share=None, first=0):
        self.share, self.left, self.count = share, first, 0

    async def early(self, request, stream):
        if request.operation == "ping":
            return None
        self.count += 1
        self.left -= 1
        hit = self.left >= 0 if self.share is None else (self.count * 2654435761 >> 7) % 100 < self.share
        if not hit:
            return None
        request.body = await stream.body(request)
        return scripted.Response(503, b"<html>\x1b[31m<body>" + b"Bad Gateway " * 500 + b"</body></html>", [("Content-Type", "text/html")])


# covers: T-6, ERR-4, ERR-5
@pytest.mark.parametrize("storm, codes, most", [(Storm(50), (0,), 400), (Storm(99), (8,), 130)], ids=["half", "nearly all"])
def test_storm_of_5xx(storm, codes, most, repo, tmp_path):
    tags = {f"{n}": images.Image([images.Layer(f"{repo} {n}", 1000)]) for n in range(6)}
    with scripted.Registry() as registry:
        for tag, image in tags.items():
            registry.push(repo, tag, image)
        registry.on("any", storm)
        result = dray.sync(dray.write_config(tmp_path / "c.yaml", f"repos: [{{source: {registry.address}/{repo}, target: 'oci:{tmp_path}/out'}}]\n"),
                           seconds=120).expect(*codes)
        assert registry.count() <= most
        for line in result.stderr.splitlines():
            assert "\x1b" not in line and len(line) < 1000
        if codes == (0,):
            images.check_layout(tmp_path / "out")


# covers: T-6
def test_first_requests_fail(image, repo, tmp_path):
    """Each run asks a few times and says so; as soon as the registry is back, the next one does it all."""
    with scripted.Registry() as registry:
        registry.push(repo, "1", image)
        registry.on("any", Storm(first=8))
        codes = []
        while not codes or codes[-1] == 8 and len(codes) < 6:
            before = registry.count()
            codes.append(sync(tmp_path, [f"{registry.address}/{repo}"]).code)
            assert codes[-1] == 0 or registry.count() - before <= 8
        assert codes[-1] == 0 and len(codes) >= 2
    images.check_layout(tmp_path / "out")


# --- floods (T-10) ---------------------------------------------------------------------------------------------------

def forever(prefix, piece, limit=64 << 20):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(prefix)
        sent = 0
        while sent < limit:
            connection.sendall(piece)
            sent += len(piece)
    return serve


# covers: T-10, T-29, HTTP-14, HTTP-15
@pytest.mark.parametrize("serve", [
    forever(b"HTTP/1.1 200 OK\r\n", b"X-Flood: " + b"x" * 1000 + b"\r\n"),
    forever(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65536),
    forever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"),
    forever(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" " * 65536),
    forever(b"HTTP/1.1 500 Oh\r\n\r\n", b"<html>" * 10000),
], ids=["lines", "one line", "interim replies", "a body", "a refusal"])
def test_flood_ends_soon_and_in_little_memory(serve, repo, tmp_path):
    with Listener(serve) as listener:
        begun = time.monotonic()
        settings = f"registries: {{'{listener.address}': {{tls: off}}}}\n"
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        result = sync(tmp_path, [f"{listener.address}/{repo}:1"], settings)
        assert result.code in (4, 8), result
        assert time.monotonic() - begun < 25
        # The most that any child of these tests has had; a sanitizer's own memory included.
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 400 << 10)


# covers: T-10, RED-2
@pytest.mark.parametrize("steps", [1, 11])
def test_redirects_without_end(steps, image, repo, tmp_path):
    with scripted.Registry() as registry:
        registry.push(repo, "1", image)

        def onward(request):
            number = int(request.query.get("step", 0))
            return f"{request.path}?step={number + 1 if steps > 1 else 1}"
        registry.on("GET manifest", scripted.redirect(307, onward))
        registry.on("HEAD manifest", scripted.redirect(307, onward))
        dray.run("inspect", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(9).says("redirected")
        assert registry.count("HEAD manifest") <= 11


# covers: HTTP-15, UPL-6
def test_long_location_is_used_as_it_is(image, repo, tmp_path):
    with scripted.Registry(location="long") as registry:
        images.write_layout(tmp_path / "from", {"x:1": image})
        dray.run("copy", f"oci:{tmp_path}/from:x:1", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(0)
        assert all(len(request.target) > 6000 for request in registry.of("PUT blob"))


# --- baits (T-26) ----------------------------------------------------------------------------------------------------

# covers: T-26, HTTP-3
def test_netrc_and_cookies_are_baits_that_nobody_takes(image, repo, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login bait password bait\ndefault login bait password bait\n")
    (tmp_path / ".netrc").chmod(0o600)
    with scripted.together(scripted.Registry(redirects_blobs=307, auth=scripted.Basic({"u": "p"})), scripted.Storage()) as (registry, storage):
        registry.storage = storage
        registry.push(repo, "1", image)
        for server in registry, storage:
            server.on("any", lambda request, response: response.headers.extend([
                ("Set-Cookie", "sid=bait; Path=/"), ("Alt-Svc", 'h2=":1"'), ("Strict-Transport-Security", "max-age=9")]) or None)
        dray.run("inspect", f"{registry.address}/{repo}:1", cwd=tmp_path).expect(3)
        assert not any(request.authorization for request in registry.requests)  # standing.py looks for the cookie
        registry.auth = None
        dray.run("copy", f"{registry.address}/{repo}:1", f"oci:{tmp_path}/out", cwd=tmp_path).expect(0)
        assert storage.of("GET blob") and not any(request.authorization for request in registry.requests)


# covers: HTTP-16
def test_no_more_blobs_at_a_time_than_are_allowed(repo, tmp_path):
    image = images.Image([images.Layer(f"{repo} {n}", 50_000) for n in range(12)])

    class Counts(scripted.Action):
        now = most = 0

        async def before(self, request, stream):
            Counts.now += 1
            Counts.most = max(Counts.most, Counts.now)
            await asyncio.sleep(0.05)

        async def send(self, request, response, stream):
            await stream.write(response.head() + response.body)
            Counts.now -= 1
            return True
    with scripted.Registry() as registry:
        registry.push(repo, "1", image)
        registry.on("GET blob", Counts())
        sync(tmp_path, [f"{registry.address}/{repo}"], f"registries: {{'{registry.address}': {{blob-slots: 3}}}}\n").expect(0)
        assert Counts.most == 3
