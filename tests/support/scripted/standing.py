"""What must be so of every request that a client sends to registries, whatever the test is about."""
# covers: MAN-15, MAN-16, MAN-17, MAN-22


_OTHERS = ("skopeo/", "containers/", "Python", "umoci")  # and http.client, which says nothing


def _is_ours(request):
    return request.has("user-agent") and not request.header("user-agent").startswith(_OTHERS)


def _manifest_accept(request):
    return "manifest" in request.header("accept") or "image.index" in request.header("accept")


def _wrong(request):
    """What is wrong with it, or nothing."""
    if request.has("cookie"):
        yield "a cookie was sent back (HTTP-3)"
    if request.has("expect"):
        yield "Expect was sent (HTTP-5)"
    if "ns" in request.query:
        yield "ns= was sent to a registry (MSC-1)"
    if request.has("accept-encoding"):
        yield "Accept-Encoding was sent (HTTP-4)"
    if not request.header("user-agent").startswith("dray/"):
        yield f"User-Agent is {request.header('user-agent')!r} (HTTP-13)"
    if request.operation in ("tags", "catalog", "GET blob", "HEAD blob") and _manifest_accept(request):
        yield "a manifest's Accept was sent (MAN-3)"
    if request.operation in ("GET manifest", "HEAD manifest") and request.header("accept").count(",") < 6:
        yield "a type is missing in Accept (MAN-1)"
    if request.operation in ("GET manifest", "HEAD manifest") and request.has("range"):
        yield "Range on a manifest (MAN-4)"
    if any(request.has(name) for name in ("if-match", "if-none-match", "if-range")):
        yield "a condition was sent that no server had given us (MAN-16, MAN-17, BLB-8)"
    if request.operation == "PUT manifest" and request.query:
        yield "a manifest was put with a query (MAN-22)"
    if request.method in ("POST", "PUT", "PATCH"):
        if not request.has("content-length") or request.has("transfer-encoding"):
            yield "no Content-Length (HTTP-6)"
        if request.operation in ("PATCH upload", "PUT blob") and request.body and \
                request.header("content-type", "application/octet-stream") != "application/octet-stream":
            yield f"Content-Type is {request.header('content-type')} (UPL-19)"
    if request.operation == "POST upload" and request.body:
        yield "a POST that opens a session has a body (UPL-26)"


def check(requests):
    """AssertionError with all that is wrong. Credentials are sent to the origin that they belong to, and to no other: a
    header value that was good at one origin never comes to another, but for Basic at a token server (T-13)."""
    requests = [request for request in requests if _is_ours(request)]
    found = [f"{request}: {wrong}" for request in requests for wrong in _wrong(request)]
    kinds = {}
    for request in requests:
        if request.reference.startswith("sha") and request.operation.endswith((" manifest", " blob")):
            kind = request.operation.rpartition(" ")[2]
            if kinds.setdefault((request.origin, request.repo, request.reference), kind) != kind:
                found.append(f"{request}: asked for as manifest and as blob (MAN-15)")
    owners = {}
    for request in requests:
        value = request.authorization
        if value.lower().startswith("bearer ") and owners.setdefault(value, request.origin) != request.origin:
            found.append(f"{request}: the token of {owners[value]} (T-13)")
    assert not found, "\n".join(found)
