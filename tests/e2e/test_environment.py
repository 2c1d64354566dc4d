"""What stands in the environment of a run and is none of its business changes nothing (T-89); and what the libraries are that read
what others wrote (T-88).

covers: T-88, T-89
"""
import re

import pytest

from support import dray, images


def hostile(directory):
    """Variables that libraries, allocators and loaders listen to; none of them is dray's."""
    weak = directory / "openssl.cnf"
    weak.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv1.1\n")
    nowhere, log = str(directory / "nowhere"), str(directory / "log")
    return {
        "SSLKEYLOGFILE": str(directory / "keys"), "SSL_CERT_FILE": nowhere, "SSL_CERT_DIR": nowhere, "CURL_CA_BUNDLE": nowhere,
        "OPENSSL_CONF": str(weak), "OPENSSL_MODULES": nowhere, "OPENSSL_ENGINES": nowhere, "OPENSSL_ia32cap": "0",
        "CURL_HOME": nowhere, "CURL_SSL_BACKEND": "none", "CURL_ENTROPY": "1", "NETRC": nowhere, "XDG_CONFIG_HOME": nowhere,
        "UV_THREADPOOL_SIZE": "0", "UV_USE_IO_URING": "1", "SQLITE_TMPDIR": nowhere, "SQLITE_HISTORY": log, "TMPDIR": nowhere,
        "TMP": nowhere, "TZ": "Nowhere/Else", "LANG": "tr_TR.UTF-8", "LC_ALL": "xx", "LANGUAGE": "xx", "POSIXLY_CORRECT": "1",
        "RES_OPTIONS": "nonsense", "LOCALDOMAIN": "evil.example", "MALLOC_ARENA_MAX": "1", "MALLOC_TRACE": log,
        "JANSSON_SEED": "1", "DRAY_TEST_HOOKS": "1", "ZSTD_CLEVEL": "99", "COLUMNS": "-1", "LINES": "0",
    }


@pytest.fixture
def scene(secure, target, repo, tmp_path):
    """A source with TLS and tokens, and a target: (configuration, its environment, the image)."""
    images.push(secure.registry, repo, "1", image := images.Image([images.Layer(repo)]))
    config = dray.write_config(tmp_path / "c.yaml", f"registries:\n{secure.settings()}repos:\n"
                               f"  - {{source: {secure.address}/{repo}, target: {target.address}/{repo}}}\n")
    return config, {"MIRROR_PASSWORD": "pass:word with spaces-dr4yC4n4ry"}, image


def test_variables_that_are_none_of_ours_change_nothing(scene, target, repo, tmp_path):
    config, env, image = scene
    report = dray.sync(config, env={**env, **hostile(tmp_path)}).expect(0).report
    assert report["images"]["copied"] == 1 and report["verified"]["diff_ids"] == 1 and not report["warnings"]
    assert target.tags(repo) == {"1": image.digest}
    assert {path.name for path in tmp_path.iterdir()} == {
        "c.yaml", "c.db", "c.db-journal", "c.db.lock", "openssl.cnf"}, "a variable made a file"


def test_version_names_every_library_that_reads_what_others_wrote(tmp_path):
    told = dray.run("--version", cwd=tmp_path).expect(0).stdout
    for library in ("dray", "libcurl", "OpenSSL", "nghttp2", "libuv", "SQLite", "ISA-L", "zlib", "zstd", "PCRE2", "jansson", "libyaml"):
        assert re.search(rf"\b{library}[ /]\d+\.\d+", told), f"{library} is not told:\n{told}"
