"""Registries as they are met: each profile is what differs from a server that does everything right. The number behind a
habit is the requirement that has met it.
"""
import json

from .auth import error, split_scope

MIB = 1 << 20
DOCKER = "application/vnd.docker."
EMPTY = "application/vnd.oci.empty.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


class Habits:
    """What a server does where the specification leaves it a choice, or it takes one. These are the right ones."""
    # tokens and challenges
    opaque_tokens = False      # any token of ours is good for everything
    no_challenge = False       # 401 without WWW-Authenticate, but on the ping
    basic_trap = False         # Basic is asked for as soon as any Authorization was sent
    basic_too = False          # beside Bearer
    unquoted = False           # bearer realm=URL
    challenge_on_200 = False   # the ping says 200, and has one all the same
    scope = None               # this scope in every challenge
    token_post = 0             # the status of a POST to the token server
    token_key = "token"
    token_key_alone = False    # no expires_in
    refuses_scopes = None      # function (scopes, user) -> Response or None
    cookie = None              # is set, and a request that writes and brings it back is refused
    stalls_expect = False
    # listings
    page_default = None        # entries without n=
    page_most = None
    n_most = None              # more is refused with n_refusal
    n_refusal = (400, "PAGINATION_NUMBER_INVALID")
    ignores_n = False
    null_when_empty = False
    link = "relative"          # absolute, wrong host, no first component, none
    link_prev = False          # rel="prev", too
    stray_tags = ()            # entries that are no tags
    refuses_manifest_accept = False  # 406 on listings
    unknown_last = 0           # the status if `last` is no tag
    reversed_tags = False
    catalog = 200
    # manifests
    needs_accept = True        # 404 for a type that is not accepted
    head_manifest = True
    head_absent = 404
    get_absent = (404, "MANIFEST_UNKNOWN", "manifest unknown")
    says_digest = True
    put_location = True
    refuses_manifest = None    # function (document, media type, bytes) -> Response or None
    immutable = None           # (status, code, message, the same digest too)
    needs_children = True
    needs_subject = False
    redirects_manifests = 0    # to `Registry.elsewhere`
    ratelimit = None           # of manifest requests
    # referrers
    referrers = 200            # another status: there is no API
    unknown_subject = 200      # of the API
    says_subject = True
    referrers_page = None
    # blobs
    redirects_blobs = 0        # to `Registry.storage`
    redirects_head = False
    ranges = "honoured"        # ignored, closed only
    head_blob = True
    # uploads
    location = "relative"      # absolute, http, no port, long
    mount = 201
    body_most = None           # 413 above: a proxy
    ranged_most = None         # 416 above, of a PATCH with Content-Range
    part_least = None          # of every part but the last
    patch_status = 202
    chunked = True             # more than one PATCH
    checks_ranges = True       # else what comes is appended
    needs_range = False        # of every PATCH but the first
    range_style = "{0}-{1}"    # of (0, last byte)
    upload_status = 204        # of GET
    cancel = 204
    closing_put = True         # an empty one
    needs_patch = False        # a PUT with a body is refused
    single_post = 201
    makes_repositories = True
    # deletion
    delete_tag = 202
    delete_manifest = 202
    delete_blob = 202


def _of(**habits):
    return type("Profile", (Habits,), {name: staticmethod(value) if callable(value) else value
                                       for name, value in habits.items()})


# --- what they refuse ----------------------------------------------------------------------------------------------

def _docker_types(document, media_type, data):  # MAN-23
    if media_type.startswith(DOCKER):
        return error(415, "MANIFEST_INVALID", "manifest media type not supported")


def _mixed_index(document, media_type, data):  # MAN-23
    if media_type == OCI_INDEX and any(c.get("mediaType", "").startswith(DOCKER) for c in document.get("manifests", [])):
        return error(400, "MANIFEST_INVALID", "manifest invalid")


def _ecr_dislikes(document, media_type, data):  # MAN-23
    text = data.decode()
    if "mediaType" not in document or "+json;" in text:
        return error(405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: "
                                         "'Invalid JSON syntax'")


def _empty_config(document, media_type, data):  # MAN-23
    if document.get("config", {}).get("mediaType") == EMPTY:
        return error(403, "DENIED", f"denied: unknown manifest class for {EMPTY}")


def _large(document, media_type, data):  # MAN-20
    if len(data) > 4 * MIB:
        return error(400, "MANIFEST_INVALID", "manifest invalid")


def _foreign(document, media_type, data):  # MAN-23
    if any("urls" in layer for layer in document.get("layers", [])):
        return error(400, "MANIFEST_INVALID", "invalid URL on layer")
    return _large(document, media_type, data)


def _only_pull_and_push(scopes, user):  # TOK-4
    for scope in scopes:
        if split_scope(scope)[0] == "repository" and not set(split_scope(scope)[2]) <= {"pull", "push", "*"}:
            return error(400, "INVALID_REQUEST", "Unable to decode repository and actions")


def _one_scope(status):  # TOK-5
    def refuse(scopes, user):
        if len({split_scope(scope)[1] for scope in scopes}) > 1:
            return error(status, "NOT_FOUND", "unknown path")
    return refuse


# --- the table -----------------------------------------------------------------------------------------------------

PROFILES = {
    None: Habits,
    "dockerhub": _of(ratelimit="100;w=21600", redirects_blobs=307, referrers=404,  # ERR-11, RED-8, RFR-4
                     delete_tag=405, delete_manifest=405, catalog=404, page_default=100,  # DEL-4, TAG-14, TAG-8
                     refuses_scopes=_one_scope(401)),  # TOK-5
    "ghcr": _of(opaque_tokens=True, ranged_most=4 * MIB, referrers=404, says_subject=False,  # TOK-10, UPL-13, RFR-2
                cancel=405, delete_tag=405, delete_manifest=405, catalog=404, page_default=100),  # UPL-25, DEL-4, TAG-8
    "quay": _of(refuses_scopes=_only_pull_and_push, token_key_alone=True, redirects_blobs=302,  # TOK-4, TOK-7, RED-2
                range_style="bytes={0}-{2}", page_default=50, page_most=100, link="absolute",  # UPL-16, TAG-8, TAG-5
                refuses_manifest=_mixed_index, unknown_subject=400, says_subject=False,  # MAN-23, RFR-2, RFR-4
                immutable=(409, "TAG_IMMUTABLE", "tag is immutable", False)),  # MAN-24
    "ecr": _of(patch_status=201, part_least=5 * MIB, range_style="0-{3}", upload_status=404,  # UPL-14, UPL-13, UPL-16, UPL-17
               closing_put=False, put_location=False, refuses_manifest=_ecr_dislikes,  # UPL-15, MAN-21, MAN-23
               n_most=1000, n_refusal=(405, "UNSUPPORTED"), makes_repositories=False,  # TAG-8, UPL-28
               referrers=404, reversed_tags=True, delete_tag=404, delete_manifest=404, catalog=404,  # RFR-4, TAG-11, DEL-4
               immutable=(400, "TAG_INVALID", "The image tag already exists and cannot be overwritten because the tag is "
                                              "immutable.", True)),  # MAN-24
    "gar": _of(chunked=False, location="long", no_challenge=True, ignores_n=True, referrers=404),  # UPL-12, HTTP-15, AUTH-3, TAG-9
    "acr": _of(redirects_blobs=307, ignores_n=True, token_post=400, delete_tag=405),  # RED-4, TAG-8, TOK-15, DEL-4
    "mcr": _of(redirects_blobs=307, referrers=404, delete_tag=405, delete_manifest=405),  # RED-8, RFR-3
    "harbor": _of(basic_trap=True, cookie="sid", link_prev=True, delete_tag=400,  # AUTH-11, HTTP-3, RFR-10, DEL-4
                  get_absent=(404, "UNKNOWN", "not found"), single_post=202,  # ERR-3, UPL-26
                  immutable=(412, "PRECONDITION", "configured as immutable", False)),  # MAN-24
    "artifactory": _of(head_absent=403, get_absent=(403, "DENIED", "forbidden"), link="no first component",  # MAN-14, TAG-7
                       refuses_manifest_accept=True, stray_tags=("sha256:" + "0" * 64,), token_post=401,  # MAN-3, TAG-2, TOK-15
                       needs_patch=True, page_default=2, page_most=2, n_most=1000),  # UPL-11
    "nexus": _of(stalls_expect=True, stray_tags=(None, ""), link="none", head_manifest=False, referrers=404),  # HTTP-5, TAG-2, TAG-9, MAN-11
    "gitlab": _of(refuses_scopes=_one_scope(404), redirects_blobs=307, redirects_head=True,  # TOK-5, RED-9
                  needs_subject=True, referrers=404),  # IDX-9
    "registry2": _of(ignores_n=True, null_when_empty=True, checks_ranges=False, delete_tag=400, cancel=401,  # TAG-2, UPL-18, DEL-4
                     referrers=404, says_subject=False, refuses_manifest=_foreign, single_post=202),  # RFR-3, MAN-23, UPL-26
    "registry3": _of(n_most=1000, referrers=404, says_subject=False, refuses_manifest=_foreign, single_post=202),  # TAG-8, RFR-3
    "zot": _of(challenge_on_200=True, unquoted=True, scope="", refuses_manifest=_docker_types,  # AUTH-4, AUTH-7, MAN-23
               unknown_last=404),  # TAG-12
    "gitea": _of(scope="*", basic_too=True, opaque_tokens=True, needs_range=True, range_style="{0}-{1}",  # AUTH-19, AUTH-9
                 ranges="ignored", referrers=404),  # BLB-6
    "aliyun": _of(refuses_manifest=_empty_config, referrers=404),  # MAN-23
    "registry_k8s_io": _of(redirects_manifests=307, redirects_blobs=307, ranges="ignored", referrers=404),  # RED-1, BLB-5
    "crane": _of(ranges="closed only", referrers=200),  # BLB-4
}
