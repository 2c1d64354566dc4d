"""The main job: twelve repositories with shared layers, from a registry with TLS and tokens, into a registry and a
layout in one run; and once more."""
import collections
import concurrent.futures

import pytest

from conftest import PASSWORD
from support import dray, images, readers


class Job:
    def __init__(self, secure, target, directory):
        self.secure, self.target, self.directory = secure, target, directory
        self.corpus = images.corpus()
        self.blobs = images.all_blobs(i for tags in self.corpus.values() for i in tags.values())
        images.push_all(secure.registry, self.corpus)
        self.layout = directory / "layout"
        self.certificates = directory / "certificates"
        self.certificates.mkdir()
        (self.certificates / "ca.crt").write_bytes(secure.ca.read_bytes())
        entries = "".join(f"""\
  - source: {secure.address}/{name}
    targets: [{target.address}/mirror/{name}, 'oci:{self.layout}']
""" for name in self.corpus)
        self.config = dray.write_config(directory / "main.yaml", f"registries:\n{secure.settings()}repos:\n{entries}")
        self.first, self.first_source, self.first_target = self._run()
        self.second, self.second_source, self.second_target = self._run()

    def _run(self):
        before = self.secure.proxy.log(), self.target.log()
        result = dray.sync(self.config, env={"MIRROR_PASSWORD": PASSWORD}, seconds=100)
        return result, self.secure.proxy.log().since(before[0]), self.target.log().since(before[1])

    def each(self):
        for name, tags in self.corpus.items():
            for tag, image in tags.items():
                yield name, tag, image


@pytest.fixture(scope="module")
def job(secure, target, tmp_path_factory):
    return Job(secure, target, tmp_path_factory.mktemp("job"))


def test_first_run_copies_every_image(job):
    job.first.expect(0)
    report = job.first.report
    assert report["images"]["total"] == report["images"]["copied"] == 48
    assert report["images"]["failed"] == report["images"]["unchanged"] == 0
    assert report["failures"] == []


def test_each_unique_blob_is_downloaded_exactly_once(job):
    assert job.first_source.blob_downloads() == collections.Counter(dict.fromkeys(job.blobs, 1))
    blobs = job.first.report["blobs"]
    assert blobs["unique"] == blobs["downloaded"] == len(job.blobs)
    assert blobs["reread"] == 0
    assert job.first.report["bytes"]["downloaded"] == sum(len(b.data) for b in job.blobs.values())


def test_every_digest_and_diff_id_is_proven(job):
    verified = job.first.report["verified"]
    layers = {b.digest for b in job.blobs.values() if isinstance(b, images.Layer)}
    assert verified["digests"] >= len(job.blobs)
    assert verified["diff_ids"] + verified["diff_ids_remembered"] >= len(layers)
    assert job.first.report["blobs"]["unproven"] == 0


def test_what_repositories_share_is_uploaded_once_and_mounted(job):
    stored = [r for r in job.first_target.of("PUT", "blobs/uploads") if r.status == 201]
    assert len(stored) == len(job.blobs)
    places = {(name, blob.digest) for name, _, image in job.each() for blob in image.blobs}
    assert len(job.first_target.mounts()) == len(places) - len(job.blobs)
    assert job.first.report["blobs"]["mounted"] == len(places) - len(job.blobs)


def test_source_target_and_layout_agree_digest_by_digest(job, tmp_path):
    job.first.expect(0)

    def digests(each):
        name, tag, image = each
        secret = f"mirror:{PASSWORD}"
        return image.digest, [
            readers.digest(f"{job.secure.address}/{name}:{tag}", tmp_path,
                           "--cert-dir", job.certificates, "--creds", secret),
            readers.plain_digest(f"{job.target.address}/mirror/{name}:{tag}", tmp_path),
            readers.digest(f"oci:{job.layout}:{job.secure.address}/{name}:{tag}", tmp_path)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for expected, found in pool.map(digests, job.each()):
            assert found == [expected] * 3
    images.check_layout(job.layout)
    assert len(images.read_layout(job.layout)) == 48


def test_second_run_moves_nothing_and_reads_no_manifest(job):
    job.second.expect(0)
    report = job.second.report
    assert report["images"]["total"] == report["images"]["unchanged"] == 48
    assert report["images"]["copied"] == report["images"]["failed"] == 0
    assert report["blobs"]["downloaded"] == report["blobs"]["uploaded"] == 0
    assert report["bytes"]["downloaded"] == report["bytes"]["uploaded"] == 0
    for log in (job.second_source, job.second_target):
        assert not log.of("GET", "manifests") and not log.of("GET", "blobs")
        assert not [r for r in log if r.method in ("POST", "PUT", "PATCH", "DELETE")]
        assert log.count("HEAD", "manifests") == 48


def test_report_counts_the_requests_that_the_servers_saw(job):
    assert job.second.report["requests"] == {
        "GET": {kind: count for kind, count in (
            ("ping", job.second_source.count("GET", "ping") + job.second_target.count("GET", "ping")),
            ("token", job.second_source.count("GET", "token")), ("tags", len(job.corpus)))},
        "HEAD": {"manifest": 2 * 48}}
    both = job.first_source + job.first_target
    told = job.first.report["requests"]
    assert told["GET"]["blob"] == len(job.blobs) == sum(r.method == "GET" and r.kind == "blobs" for r in both)
    assert told["GET"]["manifest"] == 48
    assert told["PUT"] == {"upload": len(job.blobs), "manifest": 48}


def test_layout_has_what_repositories_share_once_and_finds_it_there(job):
    places = {(name, blob.digest) for name, _, image in job.each() for blob in image.blobs}
    assert job.first.report["blobs"]["present"] == len(places) - len(job.blobs)
    assert job.second.report["blobs"]["present"] == 0


def test_blobs_have_http_1_connections_of_their_own_and_small_requests_share_one_of_http_2(job):
    def protocols(log, *kinds):
        return {r.protocol for r in log if r.kind in kinds}
    assert protocols(job.first_source, "blobs") == {"HTTP/1.1"}
    assert protocols(job.second_source, "manifests", "tags/list", "token", "ping") == {"HTTP/2.0"}
    # Beside blobs, one of their connections that is idle may be used, too.
    assert "HTTP/2.0" in protocols(job.first_source, "manifests") & protocols(job.first_source, "tags/list")


def test_tokens_are_asked_for_a_repository_once_and_not_per_request(job):
    job.first.expect(0)
    assert job.first_source.count("GET", "token") <= 2 * len(job.corpus)


def test_nothing_secret_is_said_or_stored(job):
    job.first.expect(0)
    assert PASSWORD not in job.first.stdout + job.first.stderr
    assert PASSWORD.encode() not in job.config.with_suffix(".db").read_bytes()
