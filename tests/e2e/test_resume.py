"""A download that breaks off goes on from where it was."""
from support import dray, faulty, images


class CutOnce:
    """The first GET of the digest ends after that part; `answers` are what became of each."""

    def __init__(self, digest, part):
        self.digest, self.part, self.gets = digest, part, 0

    def __call__(self, method, path):
        if method != "GET" or not path.endswith(self.digest):
            return None
        self.gets += 1
        return faulty.Cut(self.part) if self.gets == 1 else None


# covers: BLB-4
def test_blob_that_is_cut_goes_on_with_the_byte_that_is_missing(source, target, repo, tmp_path):
    image = images.Image([images.Layer(repo, 4 << 20)])
    images.push(source, repo, "1", image)
    layer = image.layers[0]
    size = len(layer.data)
    rule = CutOnce(layer.digest, 0.6)
    left, right = faulty.Faulty(source.address, rule), faulty.Faulty(target.address)
    layout = tmp_path / "layout"
    config = dray.write_config(tmp_path / "c.yaml", f"""\
repos:
  - source: {left.address}/{repo}
    targets: [{right.address}/{repo}, 'oci:{layout}']
""")
    try:
        report = dray.sync(config).expect(0).report
    finally:
        left.stop()
        right.stop()
    assert rule.gets == 2
    assert [asked for path, asked in left.ranges if path.endswith(layer.digest)] == [
        f"bytes={int(size * 0.6)}-{size - 1}"]
    assert [length for method, path, length in right.taken if length == size or layer.digest in path
            and method == "PUT"] == [size], "the target has seen one session, and each byte once"
    assert report["blobs"]["reread"] == 0
    assert report["bytes"]["downloaded"] == size + len(image.config.data)
    assert report["bytes"]["uploaded"] == 2 * report["bytes"]["downloaded"]
    assert target.tags(repo) == {"1": image.digest}
    images.check_layout(layout)
