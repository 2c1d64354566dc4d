"""The distribution API, version 1.1, over a Store; where the specification leaves a choice, Habits decide."""
import hashlib
import json
import re
import urllib.parse

from .auth import error
from .http import Response
from .store import KNOWN, digest_of

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCTETS = "application/octet-stream"
_ROUTES = [(re.compile(pattern), name) for pattern, name in [
    (r"^/v2/$", "ping"),
    (r"^/v2/_catalog$", "catalog"),
    (r"^/v2/(?P<repo>.+)/tags/list$", "tags"),
    (r"^/v2/(?P<repo>.+)/manifests/(?P<reference>[^/]+)$", "manifest"),
    (r"^/v2/(?P<repo>.+)/blobs/uploads/$", "uploads"),
    (r"^/v2/(?P<repo>.+)/blobs/uploads/(?P<reference>[^/]+)$", "upload"),
    (r"^/v2/(?P<repo>.+)/blobs/(?P<reference>[^/]+)$", "blob"),
    (r"^/v2/(?P<repo>.+)/referrers/(?P<reference>[^/]+)$", "referrers"),
]]
_REPOSITORY = re.compile(r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$")
_TAG = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
_DIGEST = re.compile(r"^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$")


def route(request):
    """Fill in operation, repo and reference."""
    path = urllib.parse.unquote(request.path)
    for pattern, name in _ROUTES:
        found = pattern.match(path)
        if found:
            break
    else:
        return None
    groups = found.groupdict()
    request.repo, request.reference = groups.get("repo", ""), groups.get("reference", "")
    if name in ("ping", "catalog", "tags", "referrers"):
        request.operation = name
    elif name == "uploads":
        request.operation = "POST upload"
    elif name == "upload":
        request.operation = "PUT blob" if request.method == "PUT" else f"{request.method} upload"
    else:
        request.operation = f"{request.method} {name}"
    return name


class Api:
    def __init__(self, registry):
        self.registry, self.store = registry, registry.store

    @property
    def habits(self):
        return self.registry.habits

    # --- the way of a request -------------------------------------------------------------------------------------

    def answer(self, request):
        name = route(request)
        if self.registry.auth and request.path == self.registry.auth.path:
            request.operation = "token"
            return self.registry.auth.answer(request, self.habits)
        refusal = self._refuse(request)
        if refusal:
            return refusal
        handler = getattr(self, f"{name}_{request.method.lower()}", None) if name else None
        if not handler:
            return error(404 if not name else 405, "UNSUPPORTED", "The operation is unsupported.")
        return handler(request)

    def _refuse(self, request):
        if self.habits.cookie and request.has("cookie") and request.method in ("POST", "PUT", "PATCH", "DELETE"):
            return error(403, "FORBIDDEN", "CSRF token invalid")
        if not self.registry.auth:
            return None
        return self.registry.auth.check(request, self._scope(request), self.habits)

    @staticmethod
    def _scope(request):
        if request.operation == "catalog":
            return "registry:catalog:*"
        if not request.repo:
            return None
        actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "pull,push")
        return f"repository:{request.repo}:{'pull,push' if 'upload' in request.operation else actions}"

    def ping_get(self, request):
        response = Response(200, b"{}", [("Content-Type", "application/json"),
                                         ("Docker-Distribution-API-Version", "registry/2.0")])
        return response

    # --- listings -------------------------------------------------------------------------------------------------

    def _page(self, request, entries, key, more):
        """One page of `entries` as {key: [...]}."""
        habits, query = self.habits, request.query
        if habits.refuses_manifest_accept and "manifest" in request.header("accept"):
            return error(406, "NOT_ACCEPTABLE", "not acceptable")
        count = int(query["n"]) if "n" in query and not habits.ignores_n else habits.page_default
        if "n" in query and habits.n_most and int(query["n"]) > habits.n_most:
            return error(*habits.n_refusal, "n is too large")
        if habits.page_most:
            count = min(count or habits.page_most, habits.page_most)
        last = query.get("last", "") if not habits.ignores_n else ""
        if last and habits.unknown_last and last not in entries:
            return error(habits.unknown_last, "NAME_UNKNOWN", "no such entry")
        begin = entries.index(last) + 1 if last in entries else sum(entry <= last for entry in entries) if last else 0
        page = entries[begin:begin + count] if count else entries[begin:]
        listed = [*page, *habits.stray_tags] if key == "tags" else page
        document = {**more, key: listed or (None if habits.null_when_empty else [])}
        response = Response(200, json.dumps(document).encode(), [("Content-Type", "application/json")])
        if count and begin + count < len(entries) and habits.link != "none":
            response.headers += self._links(request, page[-1], count)
        return response

    def _links(self, request, last, count):
        path = request.path
        if self.habits.link == "no first component":
            path = re.sub(r"^/v2/[^/]+/(.+/tags)", r"/v2/\1", path)
        target = f"{path}?last={urllib.parse.quote(last, safe='')}&n={count}"
        if self.habits.link == "absolute":
            target = f"{request.scheme}://{request.header('host')}{target}"
        elif self.habits.link == "wrong host":
            target = f"http://registry.internal:8080{target}"
        previous = f'<{path}?n={count}>; rel="prev", ' if self.habits.link_prev else ""
        return [("Link", f'{previous}<{target}>; rel="next"')]

    def tags_get(self, request):
        repository = self.store.repositories.get(request.repo)
        if not repository:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": request.repo})
        tags = sorted(repository.tags, reverse=self.habits.reversed_tags)
        return self._page(request, tags, "tags", {"name": request.repo})

    def catalog_get(self, request):
        if self.habits.catalog != 200:
            return error(self.habits.catalog, "UNSUPPORTED", "there is no catalog")
        return self._page(request, sorted(self.store.repositories), "repositories", {})

    # --- manifests ------------------------------------------------------------------------------------------------

    def manifest_head(self, request):
        if not self.habits.head_manifest:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        response = self.manifest_get(request)
        if response.status in (404, 403):
            response.status = self.habits.head_absent
        return response

    def manifest_get(self, request):
        repository = self.store.repositories.get(request.repo)
        manifest = repository and repository.find(request.reference)
        if not manifest:
            return error(*self.habits.get_absent)
        accepted = {part.split(";")[0].strip() for name, value in request.headers if name == "accept"
                    for part in value.split(",")}
        if self.habits.needs_accept and manifest.media_type not in accepted and "*/*" not in accepted:
            return error(404, "MANIFEST_UNKNOWN", "OCI manifest found, but accept header does not support OCI manifests")
        if self.habits.redirects_manifests and self.registry.elsewhere:
            return Response(self.habits.redirects_manifests, b"", [("Location", self.registry.elsewhere(request))])
        response = Response(200, manifest.data, [("Content-Type", manifest.media_type)])
        if self.habits.says_digest:
            response.set("Docker-Content-Digest", manifest.digest).set("ETag", f'"{manifest.digest}"')
        if self.habits.ratelimit:
            response.set("ratelimit-limit", self.habits.ratelimit).set("ratelimit-remaining", self.habits.ratelimit)
        return response

    def manifest_put(self, request):
        by_digest = bool(_DIGEST.match(request.reference))
        algorithm = request.reference.partition(":")[0] if by_digest else "sha256"
        digest = digest_of(request.body, algorithm)
        if not _REPOSITORY.match(request.repo):
            return error(400, "NAME_INVALID", "invalid repository name")
        if by_digest and digest != request.reference:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        if not by_digest and not _TAG.match(request.reference):
            return error(400, "TAG_INVALID", "manifest tag did not match URI")
        refusal = self._refuse_manifest(request, digest, by_digest)
        if refusal:
            return refusal
        media_type = request.header("content-type")
        self.store.add_manifest(request.repo, request.body, media_type, None if by_digest else request.reference, digest)
        response = Response(201, b"", [("Docker-Content-Digest", digest)])
        if self.habits.put_location:
            response.set("Location", f"/v2/{request.repo}/manifests/{digest}")
        subject = json.loads(request.body).get("subject")
        if subject and self.habits.says_subject:
            response.set("OCI-Subject", subject["digest"])
        return response

    def _refuse_manifest(self, request, digest, by_digest):
        habits, repository = self.habits, self.store.repositories.get(request.repo)
        try:
            document = json.loads(request.body)
        except ValueError:
            return error(400, "MANIFEST_INVALID", "manifest invalid")
        media_type = request.header("content-type")
        if document.get("mediaType", media_type) != media_type:
            return error(400, "MANIFEST_INVALID", "mediaType and Content-Type differ")
        refusal = habits.refuses_manifest and habits.refuses_manifest(document, media_type, request.body)
        if refusal:
            return refusal
        there = repository and repository.tags.get(request.reference)
        if self.registry.immutable and there and habits.immutable and not by_digest:
            status, code, message, same_too = habits.immutable
            if there != digest or same_too:
                return error(status, code, message)
        return self._refuse_children(request, document)

    def _refuse_children(self, request, document):
        repository = self.store.repository(request.repo)
        config = document.get("config")
        blobs = [*(document.get("layers") or []), *(document.get("blobs") or []), *([config] if config else [])]
        missing = [blob["digest"] for blob in blobs if blob["digest"] not in repository.blobs and not blob.get("urls")]
        missing += [child["digest"] for child in document.get("manifests") or []
                    if child["digest"] not in repository.manifests and child["digest"] not in repository.blobs]
        if self.habits.needs_subject and "subject" in document:
            missing += [] if document["subject"]["digest"] in repository.manifests else [document["subject"]["digest"]]
        if not missing or not self.habits.needs_children:
            return None
        return Response(400, json.dumps({"errors": [
            {"code": "MANIFEST_BLOB_UNKNOWN", "message": "manifest blob unknown to registry", "detail": {"digest": digest}}
            for digest in missing]}).encode(), [("Content-Type", "application/json")])

    def manifest_delete(self, request):
        repository = self.store.repositories.get(request.repo)
        is_digest = bool(_DIGEST.match(request.reference))
        status = self.habits.delete_manifest if is_digest else self.habits.delete_tag
        if status != 202:
            return error(status, "DIGEST_INVALID" if status == 400 else "UNSUPPORTED", "The operation is unsupported.")
        if not repository or not repository.find(request.reference):
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        if is_digest:
            del repository.manifests[request.reference]
            repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != request.reference}
        else:
            del repository.tags[request.reference]
        return Response(202)

    # --- referrers ------------------------------------------------------------------------------------------------

    def referrers_get(self, request):
        habits, repository = self.habits, self.store.repositories.get(request.repo)
        if habits.referrers != 200:
            return error(habits.referrers, "NOT_FOUND", "404 page not found")
        if not _DIGEST.match(request.reference):
            return error(400, "DIGEST_INVALID", "not a digest")
        if habits.unknown_subject != 200 and not (repository and request.reference in repository.manifests):
            return error(habits.unknown_subject, "MANIFEST_INVALID", "manifest invalid")
        entries = list(self._referrers(repository, request.reference)) if repository else []
        wanted = request.query.get("artifactType")
        response = Response(200, b"", [("Content-Type", OCI_INDEX)])
        if wanted:
            entries = [entry for entry in entries if entry.get("artifactType") == wanted]
            response.set("OCI-Filters-Applied", "artifactType")
        if habits.referrers_page:
            begin = int(request.query.get("from", 0))
            if begin + habits.referrers_page < len(entries):
                response.set("Link", f'<{request.path}?from={begin + habits.referrers_page}>; rel="next"')
            entries = entries[begin:begin + habits.referrers_page]
        response.body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
        return response

    @staticmethod
    def _referrers(repository, subject):
        for manifest in repository.manifests.values():
            try:
                document = json.loads(manifest.data)
                if document["subject"]["digest"] != subject:
                    continue
            except (ValueError, LookupError, TypeError, RecursionError):
                continue  # a document that is none
            entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.data)}
            kind = document.get("artifactType") or document.get("config", {}).get("mediaType")
            yield {**entry, **({"artifactType": kind} if kind else {}),
                   **({"annotations": document["annotations"]} if document.get("annotations") else {})}

    # --- blobs ----------------------------------------------------------------------------------------------------

    def blob_head(self, request):
        if not self.habits.head_blob:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        return self._blob(request, self.habits.redirects_head)

    def blob_get(self, request):
        return self._blob(request, True)

    def _blob(self, request, may_redirect):
        data = self.store.blob(request.repo, request.reference)
        if data is None:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        if self.habits.redirects_blobs and may_redirect and self.registry.storage:
            return Response(self.habits.redirects_blobs, b"", [
                ("Location", self.registry.storage.sign(request.reference, data, request.method))])
        return ranged(request, data, self.habits.ranges).set("Docker-Content-Digest", request.reference)

    def blob_delete(self, request):
        repository = self.store.repositories.get(request.repo)
        if self.habits.delete_blob != 202:
            return error(self.habits.delete_blob, "UNSUPPORTED", "The operation is unsupported.")
        if not repository or request.reference not in repository.blobs:
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        repository.blobs.discard(request.reference)
        return Response(202)

    # --- uploads --------------------------------------------------------------------------------------------------

    def uploads_post(self, request):
        if not _REPOSITORY.match(request.repo):
            return error(400, "NAME_INVALID", "invalid repository name")
        if not self.habits.makes_repositories and request.repo not in self.store.repositories:
            return error(404, "NAME_UNKNOWN", "The repository does not exist in the registry")
        query = request.query
        if "mount" in query and "from" in query:
            if self.habits.mount not in (201, 202):
                return error(self.habits.mount, "DENIED", "requested access to the resource is denied")
            if self.habits.mount == 201 and self.store.blob(query["from"], query["mount"]) is not None:
                self.store.repository(request.repo).blobs.add(query["mount"])
                return self._stored(request, query["mount"])
        if "digest" in query and self.habits.single_post == 201:
            return self._keep(request, request.body, query["digest"])
        upload = self.store.open_upload(request.repo)
        return self._session(request, upload, 202)

    def _location(self, request, upload):
        path = f"/v2/{upload.repo}/blobs/uploads/{upload.id}?_state={upload.id}-{len(upload.data)}%3D%3D"
        style = self.habits.location
        host = request.header("host")
        if callable(style):
            return style(request, path)
        if style == "long":
            return f"{path}&filler={'x' * 6000}"
        if style == "absolute":
            return f"{request.scheme}://{host}{path}"
        if style == "http":
            return f"http://{host}{path}"
        if style == "no port":
            return f"{request.scheme}://{host.partition(':')[0]}{path}"
        return path

    def _session(self, request, upload, status):
        size = len(upload.data)
        text = self.habits.range_style.format(0, max(size - 1, 0), size, max(getattr(upload, "first", size) - 1, 0))
        response = Response(status, b"", [("Docker-Upload-UUID", upload.id), ("Range", text)])
        if request.method != "GET" or self.habits.upload_status == 204:
            response.set("Location", self._location(request, upload))
        return response

    def _find(self, request):
        upload = self.store.uploads.get(request.reference)
        return upload if upload and upload.repo == request.repo else None

    @staticmethod
    def _unknown():
        return error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")

    def _refuse_bytes(self, request, upload, is_last):
        """Why the body of a PATCH, or of the closing PUT, is not taken."""
        habits, said = self.habits, request.header("content-range")
        if request.header("content-type", OCTETS) != OCTETS:
            return error(415, "UNSUPPORTED", "not application/octet-stream")
        if habits.body_most and len(request.body) > habits.body_most:
            return Response(413, b"<html><head><title>413 Request Entity Too Large</title></head></html>",
                            [("Content-Type", "text/html")])
        if habits.ranged_most and said and len(request.body) > habits.ranged_most:
            return error(416, "RANGE_INVALID", "request body is too large for a ranged upload, at most "
                                               f"{habits.ranged_most / (1 << 20):.2f}MiB")
        if said and not re.match(r"^\d+-\d+$", said):
            return error(400, "RANGE_INVALID", "the Content-Range header format is invalid")
        begin = int(said.partition("-")[0]) if said else None
        if habits.checks_ranges and said and (
                begin != len(upload.data) or int(said.partition("-")[2]) - begin + 1 != len(request.body)):
            return error(416, "RANGE_INVALID", "invalid content range").set("Range", f"0-{max(len(upload.data) - 1, 0)}")
        if habits.needs_range and upload.taken and not said and request.body:
            return error(416, "RANGE_INVALID", "no Content-Range")
        if upload.taken and not habits.chunked and request.method == "PATCH":
            return error(400, "BLOB_UPLOAD_INVALID", "chunked uploads are not supported")
        if not is_last and habits.part_least and upload.taken and getattr(upload, "small", False):
            return error(400, "BLOB_UPLOAD_INVALID", "a part is too small")
        return None

    def upload_patch(self, request):
        upload = self._find(request)
        if not upload:
            return self._unknown()
        refusal = self._refuse_bytes(request, upload, False)
        if refusal:
            return refusal
        upload.data += request.body
        upload.taken += 1
        upload.first = getattr(upload, "first", len(upload.data))
        upload.small = len(request.body) < (self.habits.part_least or 0)
        return self._session(request, upload, self.habits.patch_status)

    def upload_put(self, request):
        upload = self._find(request)
        digest = request.query.get("digest", "")
        if not upload:
            return self._unknown()
        if not _DIGEST.match(digest):
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        if self.habits.needs_patch and request.body:
            return error(405, "UNSUPPORTED", "a PUT has no body here")
        if upload.taken and not request.body and not self.habits.closing_put:
            return error(400, "BLOB_UPLOAD_INVALID", "an empty PUT")
        refusal = self._refuse_bytes(request, upload, True)
        if refusal:
            return refusal
        del self.store.uploads[upload.id]
        return self._keep(request, bytes(upload.data) + request.body, digest)

    def _keep(self, request, data, digest):
        algorithm = digest.partition(":")[0]
        if algorithm not in KNOWN or digest_of(data, algorithm) != digest:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.store.add_blob(request.repo, data, digest)
        return self._stored(request, digest)

    @staticmethod
    def _stored(request, digest):
        return Response(201, b"", [("Location", f"/v2/{request.repo}/blobs/{digest}"), ("Docker-Content-Digest", digest)])

    def upload_get(self, request):
        upload = self._find(request)
        if not upload or self.habits.upload_status == 404:
            return self._unknown()
        return self._session(request, upload, 204)

    def upload_delete(self, request):
        if self.habits.cancel != 204:
            return error(self.habits.cancel, "UNSUPPORTED", "The operation is unsupported.")
        upload = self._find(request)
        if not upload:
            return self._unknown()
        del self.store.uploads[upload.id]
        return Response(204)


def ranged(request, data, ranges="honoured"):
    """`data`, or the part of it that Range asks for."""
    response = Response(200, data, [("Content-Type", OCTETS), ("Accept-Ranges", "bytes")])
    found = re.match(r"^bytes=(\d*)-(\d*)$", request.header("range"))
    if not found or ranges == "ignored" or found.groups() == ("", ""):
        return response
    first, last = found.groups()
    if ranges == "closed only" and not (first and last):
        return error(416, "RANGE_INVALID", "only closed ranges")
    begin = int(first) if first else max(len(data) - int(last), 0)
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if begin >= len(data) or begin > end:
        return Response(416, b"", [("Content-Range", f"bytes */{len(data)}")])
    response.status, response.body = 206, data[begin:end + 1]
    return response.set("Content-Range", f"bytes {begin}-{end}/{len(data)}")


def etag(data):
    return '"' + hashlib.md5(data).hexdigest() + '"'
