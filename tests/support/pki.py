"""Keys and certificates, made with the openssl command."""
import base64
import pathlib
import subprocess


def _openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, check=True, capture_output=True).stdout


class Authority:
    """A certificate authority of this test alone."""

    def __init__(self, directory, name="dray test CA"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "ca.crt"
        self._key = self.directory / "ca.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self._key, "-out", self.certificate)

    def issue(self, name, hosts=("localhost",), addresses=("127.0.0.1", "::1"), usage="serverAuth"):
        """A certificate: (certificate file, key file)."""
        key, request, certificate, extensions = (
            self.directory / f"{name}.{suffix}" for suffix in ("key", "csr", "crt", "ext"))
        names = ",".join([f"DNS:{h}" for h in hosts] + [f"IP:{a}" for a in addresses])
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={hosts[0]}",
                 "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                 "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key


class Signer:
    """Signs tokens: an RSA key (RS256, whose signature openssl writes as JOSE wants it) with its own certificate."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "token.crt"
        self._key = self.directory / "token.key"
        _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=dray test tokens",
                 "-keyout", self._key, "-out", self.certificate)
        der = _openssl("x509", "-in", self.certificate, "-outform", "DER")
        self.x5c = [base64.b64encode(der).decode()]

    def sign(self, data):
        return _openssl("dgst", "-sha256", "-sign", self._key, data=data)
