"""nginx as the usual reverse proxy: TLS, HTTP/2, one registry behind it, and a token server under /token."""
import http.client
import os
import pathlib
import socket
import ssl
import uuid

from . import accesslog
from .processes import Background, wait_for

_CONFIG = """\
daemon off;
{user}
worker_processes 1;
pid {dir}/pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
	log_format counted '$request_method $request_uri $status $body_bytes_sent $server_protocol';
	access_log {dir}/access counted;
	client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
	server {{
		listen 127.0.0.1:{port} ssl http2;
		ssl_certificate {certificate};
		ssl_certificate_key {key};
		ssl_protocols TLSv1.2 TLSv1.3;
		{clients}
		client_max_body_size {body_most};
		chunked_transfer_encoding on;
		proxy_http_version 1.1;
		proxy_buffering off;
		proxy_request_buffering off;
		proxy_set_header Host $http_host;
		proxy_set_header X-Real-IP $remote_addr;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Proto $scheme;
		location /v2/ {{ proxy_pass http://{registry}; proxy_read_timeout 900; }}
		{token}
		location /mark/ {{ return 204; }}
	}}
}}
"""


class Nginx:
    """The port is known before the registry behind it is started; then `start()`. With `client_ca`, it takes only
    clients whose certificate that authority has signed."""

    def __init__(self, directory, certificate, key, client_ca=None, body_most="0"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key, self.client_ca, self.body_most = certificate, key, client_ca, body_most
        # nginx takes over a listening socket, so that no port is ever guessed.
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]
        self.address = f"localhost:{self.port}"
        self.server = None

    def start(self, registry, token_server=None):
        token = f"location /token {{ proxy_pass http://{token_server}; }}" if token_server else ""
        clients = f"ssl_verify_client on; ssl_client_certificate {self.client_ca};" if self.client_ca else ""
        user = "user root root;" if os.geteuid() == 0 else ""
        config = self.directory / "nginx.conf"
        config.write_text(_CONFIG.format(dir=self.directory, user=user, port=self.port, certificate=self.certificate,
                                         key=self.key, registry=registry, token=token, clients=clients,
                                         body_most=self.body_most))
        fd = self._socket.fileno()
        program = next((p for p in ("/usr/sbin/nginx",) if os.access(p, os.X_OK)), "nginx")
        self.server = Background([program, "-p", self.directory, "-c", config, "-e", "stderr"],
                                 self.directory / "output", env={"NGINX": f"{fd};"}, pass_fds=(fd,))
        self.server.wait_until(self._answers, "nginx to answer")
        self._socket.close()
        return self

    def _answers(self):
        try:
            self._mark("/mark/start")
            return True
        except OSError:
            return False

    def _mark(self, path):
        # Whether the certificate is good is what the program under test is asked, not this.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
        finally:
            connection.close()

    def log(self):
        """Every request so far: one worker writes the log, in the order in which the replies ended."""
        mark = f"/mark/{uuid.uuid4().hex}"
        self._mark(mark)
        access = self.directory / "access"
        wait_for(lambda: mark in access.read_text(), "nginx's access log")
        requests = []
        for line in access.read_text().splitlines():
            method, uri, status, size, protocol = line.split(" ", 4)
            if not uri.startswith("/mark/"):
                requests.append(accesslog.Request(method, uri, int(status), int(size), protocol))
        return accesslog.Log(requests)

    def stop(self):
        self._socket.close()
        if self.server:
            self.server.stop()
