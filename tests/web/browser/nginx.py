"""An nginx that shows the service below a path, as docs/dashboard.md says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.sandbox.processes import HOST, free_port
from tests.promises.proxies import program, running

PREFIX: Final = "/x"
_CONFIGURATION: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
user root root;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        location {prefix}/ {{
            proxy_pass {upstream}/;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Prefix {prefix};
        }}
    }}
}}
"""


@contextmanager
def below_a_path(upstream: str, folder: Path) -> Iterator[str]:
    """The address at which nginx shows *upstream*; the test is skipped without it."""
    path, port = program("nginx"), free_port()
    file = folder / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(
            folder=folder, host=HOST, port=port, prefix=PREFIX, upstream=upstream.rstrip("/")
        )
    )
    with running([path, "-p", str(folder), "-c", str(file)], folder):
        yield f"http://{HOST}:{port}{PREFIX}"
