"""nginx as a registry that has one repository with very many tags, all on one digest, and answers from rules."""
import json
import os
import pathlib
import socket

from support.processes import Background, wait_for

from . import corpus

REPOSITORY = "bench/many"
_PAGE = 1000
_MANIFEST = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
_CONFIG = """\
daemon off;
{user}
worker_processes 1;
pid {dir}/pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
	map_hash_max_size 65536; map_hash_bucket_size 128;
	map $arg_last $next {{ include {dir}/next; }}
	map $arg_last $page {{ default $arg_last; '' first; }}
	map $next $more {{ '' ''; default '</v2/{repository}/tags/list?n={size}&last=$next>; rel="next"'; }}
	server {{
		listen 127.0.0.1:{port};
		location = /v2/ {{ return 200 '{{}}'; }}
		location = /v2/{repository}/tags/list {{
			default_type application/json;
			add_header Link $more;
			root {dir}/pages;
			try_files /$page.json /empty.json =404;
		}}
		location /v2/{repository}/manifests/ {{
			default_type application/vnd.oci.image.manifest.v1+json;
			add_header Docker-Content-Digest {digest};
			return 200 '{manifest}';
		}}
	}}
}}
"""


class TagsServer:
    def __init__(self, directory, count):
        self.directory = pathlib.Path(directory)
        (self.directory / "pages").mkdir(parents=True)
        self._write_pages(count)
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % listening.getsockname()[1]
        config = self.directory / "nginx.conf"
        config.write_text(_CONFIG.format(
            dir=self.directory, user="user root root;" if os.geteuid() == 0 else "", port=listening.getsockname()[1],
            repository=REPOSITORY, size=_PAGE, digest=corpus.digest(_MANIFEST.encode()), manifest=_MANIFEST))
        self.server = Background(["/usr/sbin/nginx", "-p", self.directory, "-c", config, "-e", "stderr"],
                                 self.directory / "output", env={"NGINX": f"{listening.fileno()};"},
                                 pass_fds=(listening.fileno(),))
        wait_for(lambda: (self.directory / "pid").exists(), "nginx to start")
        listening.close()

    def _write_pages(self, count):
        tags, page, following = [f"t{n:07}" for n in range(count)], "first", []
        for begin in range(0, count, _PAGE):
            some = tags[begin:begin + _PAGE]
            (self.directory / "pages" / f"{page}.json").write_text(json.dumps({"name": REPOSITORY, "tags": some}))
            if begin + _PAGE < count:
                following.append(f"'{'' if page == 'first' else page}' {some[-1]};\n")
            page = some[-1]
        (self.directory / "pages/empty.json").write_text(json.dumps({"name": REPOSITORY, "tags": []}))
        (self.directory / "next").write_text("".join(following) + "default '';\n")

    def stop(self):
        self.server.stop()
