"""What we read one way, others must not read another way: documents on which readers differ, each given to dray and to
docker-registry, whose answers are on record (T-31). Where Go takes a document and finds in it what we do not, we refuse it.
"""
import http.client

from support import dray, images, scripted

LAYER, OTHER = images.Layer("two readers"), images.Layer("two readers, other")
IMAGE = images.Image([LAYER])
CONFIG = images.to_json(IMAGE.config.descriptor()).decode()
TYPE = '"mediaType":"%s"' % images.MANIFEST
L, O = (images.to_json(layer.descriptor()).decode() for layer in (LAYER, OTHER))
HEAD = '"schemaVersion":2,' + TYPE
SIZE = '"size":%d' % len(LAYER.data)


def doc(*members):
    return "{%s}" % ",".join(members)


def sized(number):
    return doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L.replace(SIZE, number)}]')


def layered(text):
    return doc(HEAD, f'"config":{CONFIG}', f'"layers":[{text}]')


PLAIN = doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]')
TAKEN, REFUSED = True, False
# name: (document, do we take it, does docker-registry 2.8 take it)
DOCUMENTS = {
    "plain": (PLAIN, TAKEN, TAKEN),
    "blanks": (" \t\r\n" + PLAIN.replace('":', '" :\n ') + "\n \n", TAKEN, TAKEN),
    "other order": (doc(f'"layers":[{L}]', f'"config":{CONFIG}', TYPE, '"schemaVersion":2'), TAKEN, TAKEN),
    "unknown keys": (doc(HEAD, '"x":[{"y":1.5e300}]', f'"config":{CONFIG}', f'"layers":[{L}]', '"":null'), TAKEN, TAKEN),
    "escapes": (PLAIN.replace("/", "\\/").replace("sha256:", "sh\\u00612\\u0035\\u0036:"), TAKEN, TAKEN),
    "escaped key": (PLAIN.replace('"layers"', '"l\\u0061yers"'), TAKEN, TAKEN),
    "layers twice": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', f'"layers":[{O}]'), REFUSED, TAKEN),
    "layers twice, escaped": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', f'"l\\u0061yers":[{O}]'), REFUSED, TAKEN),
    "mediaType twice": (doc(HEAD, TYPE, f'"config":{CONFIG}', f'"layers":[{L}]'), REFUSED, TAKEN),
    "digest twice": (layered(L[:-1] + f',"digest":"{OTHER.digest}"}}'), REFUSED, TAKEN),
    "unknown key twice": (doc(HEAD, '"x":1', '"x":2', f'"config":{CONFIG}', f'"layers":[{L}]'), REFUSED, TAKEN),
    "key twice in an annotation": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', '"annotations":{"a":"1","a":"2"}'), REFUSED, TAKEN),
    "Layers too": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', f'"Layers":[{O}]'), REFUSED, TAKEN),
    "LAYERS alone": (doc(HEAD, f'"config":{CONFIG}', f'"LAYERS":[{L}]'), REFUSED, TAKEN),
    "layers with a long s too": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', f'"layer\u017f":[{O}]'), REFUSED, TAKEN),
    "layers with an escaped long s too": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', f'"layer\\u017f":[{O}]'), REFUSED, TAKEN),
    "Config too": (doc(HEAD, f'"config":{CONFIG}', f'"Config":{CONFIG}', f'"layers":[{L}]'), REFUSED, TAKEN),
    "mediatype too": (doc(HEAD, '"mediatype":"x"', f'"config":{CONFIG}', f'"layers":[{L}]'), REFUSED, REFUSED),
    "Digest too": (layered(L[:-1] + f',"Digest":"{OTHER.digest}"}}'), REFUSED, TAKEN),
    "Size too": (layered(L[:-1] + ',"SIZE":1}'), REFUSED, TAKEN),
    "Manifests": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', '"Manifests":[]'), REFUSED, REFUSED),
    "manifests": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', '"manifests":[]'), REFUSED, REFUSED),
    "annotations differ by case": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', '"annotations":{"a":"1","A":"2"}'), TAKEN, TAKEN),
    "NUL in a key": (doc(HEAD, '"x\\u0000":1', f'"config":{CONFIG}', f'"layers":[{L}]'), REFUSED, TAKEN),
    "NUL in a text": (doc(HEAD, '"x":"\\u0000"', f'"config":{CONFIG}', f'"layers":[{L}]'), REFUSED, TAKEN),
    "NUL behind a key": (doc(HEAD, f'"config":{CONFIG}', f'"layers":[{L}]', f'"layers\\u0000":[{O}]'), REFUSED, TAKEN),
    "NUL as it is": (PLAIN.replace("{", '{"x":"\0",', 1), REFUSED, REFUSED),
    "NUL behind it": (PLAIN + "\0", REFUSED, REFUSED),
    "control byte": (PLAIN.replace("{", '{"x":"\x01",', 1), REFUSED, REFUSED),
    "line end in a text": (PLAIN.replace("{", '{"x":"\n",', 1), REFUSED, REFUSED),
    "DEL in a text": (PLAIN.replace("{", '{"x":"\x7f",', 1), TAKEN, TAKEN),
    "no UTF-8": (PLAIN.encode().replace(b"{", b'{"x":"\xff",', 1), REFUSED, TAKEN),
    "no UTF-8 in a key": (PLAIN.encode().replace(b"{", b'{"\xff":1,', 1), REFUSED, TAKEN),
    "overlong UTF-8": (PLAIN.encode().replace(b"{", b'{"x":"\xc0\xaf",', 1), REFUSED, TAKEN),
    "UTF-8 of a surrogate": (PLAIN.encode().replace(b"{", b'{"x":"\xed\xa0\x80",', 1), REFUSED, TAKEN),
    "high surrogate alone": (PLAIN.replace("{", '{"x":"\\ud800",', 1), REFUSED, TAKEN),
    "low surrogate alone": (PLAIN.replace("{", '{"x":"\\udc00",', 1), REFUSED, TAKEN),
    "pair of surrogates": (PLAIN.replace("{", '{"x":"\\ud83d\\ude00",', 1), TAKEN, TAKEN),
    "last character": (PLAIN.replace("{", '{"x":"\U0010ffff",', 1), TAKEN, TAKEN),
    "BOM": ("\ufeff" + PLAIN, REFUSED, REFUSED),
    "UTF-16": (PLAIN.encode("utf-16"), REFUSED, REFUSED),
    "size as text": (sized('"size":"%d"' % len(LAYER.data)), REFUSED, REFUSED),
    "size with a fraction": (sized('"size":%d.0' % len(LAYER.data)), REFUSED, REFUSED),
    "size with an exponent": (sized('"size":2e4'), REFUSED, REFUSED),
    "size below zero": (sized('"size":-1'), REFUSED, TAKEN),
    "size of minus zero": (sized('"size":-0'), REFUSED, TAKEN),
    "size of 2^63": (sized('"size":9223372036854775808'), REFUSED, REFUSED),
    "size of 2^64 and a little": (sized('"size":18446744073709551621'), REFUSED, REFUSED),
    "size with a zero first": (sized('"size":0%d' % len(LAYER.data)), REFUSED, REFUSED),
    "size with a plus": (sized('"size":+%d' % len(LAYER.data)), REFUSED, REFUSED),
    "size in hex": (sized('"size":0x10'), REFUSED, REFUSED),
    "no size": (sized('"x":1'), REFUSED, TAKEN),
    "NaN": (PLAIN.replace("{", '{"x":NaN,', 1), REFUSED, REFUSED),
    "Infinity": (PLAIN.replace("{", '{"x":-Infinity,', 1), REFUSED, REFUSED),
    "1e999 where nobody reads it": (PLAIN.replace("{", '{"x":1e999,', 1), REFUSED, TAKEN),
    "comma too many": (PLAIN[:-1] + ",}", REFUSED, REFUSED),
    "comment": ("/* x */" + PLAIN, REFUSED, REFUSED),
    "quotes of another kind": (PLAIN.replace('"', "'"), REFUSED, REFUSED),
    "two documents": (PLAIN + PLAIN, REFUSED, REFUSED),
    "something behind it": (PLAIN + "x", REFUSED, REFUSED),
    "cut short": (PLAIN[:-1], REFUSED, REFUSED),
    "array": (f"[{PLAIN}]", REFUSED, REFUSED),
    "schemaVersion as text": (PLAIN.replace(':2,', ':"2",', 1), REFUSED, REFUSED),
    "schemaVersion with a fraction": (PLAIN.replace(':2,', ':2.0,', 1), REFUSED, REFUSED),
    "config as an array": (PLAIN.replace(f'"config":{CONFIG}', f'"config":[{CONFIG}]'), REFUSED, REFUSED),
    "layers as an object": (PLAIN.replace(f"[{L}]", L), REFUSED, REFUSED),
    "layer that is null": (layered(f"{L},null"), REFUSED, REFUSED),
    "layers that are null": (doc(HEAD, f'"config":{CONFIG}', '"layers":null'), TAKEN, TAKEN),
    "nested 64 deep": (PLAIN.replace("{", '{"x":%s,' % ("[" * 63 + "]" * 63), 1), TAKEN, TAKEN),
    "nested 65 deep": (PLAIN.replace("{", '{"x":%s,' % ("[" * 64 + "]" * 64), 1), REFUSED, TAKEN),
}


# Nothing is taken that a Go reader refuses.
assert not [name for name, (_, ours, theirs) in DOCUMENTS.items() if ours and not theirs]


def document(name):
    text = DOCUMENTS[name][0]
    return images.Blob(text if isinstance(text, bytes) else text.encode(), images.MANIFEST)


def tag(name):
    return "t" + str(list(DOCUMENTS).index(name))


# covers: T-30, T-31, T-32, MAN-7
def test_documents_as_dray_reads_them(repo, tmp_path):
    with scripted.Registry() as source, scripted.Registry() as target:
        for blob in (LAYER, OTHER, IMAGE.config):
            source.store.add_blob(repo, blob.data)
        for name in DOCUMENTS:
            source.store.add_manifest(repo, document(name).data, images.MANIFEST, tag(name))
        options = ("--verify", "digests")  # a config fits to one list of layers alone
        result = dray.run("copy", "--json", *options, f"{source.address}/{repo}:*", f"{target.address}/{repo}", cwd=tmp_path).expect(1)
        failed = {failure["source"].rpartition(":")[2]: failure for failure in result.report["failures"]}
        wrong = [f"{name}: {failed.get(tag(name), {}).get('message', 'taken')}"
                 for name, (_, ours, _) in DOCUMENTS.items() if (tag(name) not in failed) is not ours]
        assert not wrong, "\n".join(wrong)
        assert all(failure["exit_class"] == 4 and failure["kind"] in ("corrupt", "unsupported") for failure in failed.values())
        for name, (_, ours, _) in DOCUMENTS.items():
            assert target.tags(repo).get(tag(name)) == (document(name).digest if ours else None)
            assert not ours or target.manifest(repo, tag(name)).data == document(name).data


# covers: T-31
def test_documents_as_a_go_reader_reads_them(target, repo):
    """The other half of the table; with another version of docker-registry, a row may change, and then this page does."""
    pusher = images.Pusher(target)
    for blob in (LAYER, OTHER, IMAGE.config):
        pusher.blob(repo, blob)
    connection, wrong = http.client.HTTPConnection(target.address, timeout=20), []
    for name, (_, _, theirs) in DOCUMENTS.items():
        connection.request("PUT", f"/v2/{repo}/manifests/{tag(name)}", document(name).data, {"Content-Type": images.MANIFEST})
        response = connection.getresponse()
        said = response.read()
        if (response.status == 201) is not theirs:
            wrong.append(f"{name}: {response.status} {said[:200]!r}")
    assert not wrong, "\n".join(wrong)
