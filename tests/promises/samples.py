"""The reverse proxies of deploy/proxies, run as they are but for addresses and files."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from app.sandbox.processes import HOST
from tests.promises.proxies import program, running
from tests.promises.stage import free_port

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "proxies"
NAMES: Final = ["nginx", "haproxy", "caddy"]
#: What the samples name, and the tests replace.
_REPLACED: Final = {
    "nginx": ("nginx.conf", "listen 443", "/etc/nginx/receiver"),
    "haproxy": ("haproxy.cfg", "bind :443", "/etc/haproxy/receiver"),
    "caddy": ("Caddyfile", "https://callbacks.example.com:443", "/etc/caddy/receiver"),
}
_PUBLIC: Final = {
    "nginx": "listen {host}:{port}",
    "haproxy": "bind {host}:{port}",
    "caddy": "https://localhost:{port}",
}
#: What Debian's nginx.conf has around conf.d.
_NGINX: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
user root root;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/sample;
}}
"""


class Ports(NamedTuple):
    """Where a sample listens."""

    #: By TLS.
    public: int
    internal: int


@contextmanager
def sample(name: str, one: int, two: int, folder: Path) -> Iterator[Ports]:
    """The sample *name* in front of services at two ports; the test is skipped without it."""
    path = program(name)
    file, listener, certificate = _REPLACED[name]
    ports = Ports(free_port(), free_port())
    _make_certificate(folder)
    text = (FOLDER / file).read_text()
    for old, new in {
        listener: _PUBLIC[name].format(host=HOST, port=ports.public),
        "127.0.0.1:8000": f"{HOST}:{one}",
        "127.0.0.1:8001": f"{HOST}:{two}",
        "127.0.0.1:8080": f"{HOST}:{ports.internal}",
        certificate: str(folder / "receiver"),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "sample").write_text(text)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder))
    command = {
        "nginx": [path, "-p", str(folder), "-c", str(folder / "nginx.conf")],
        "haproxy": [path, "-db", "-f", str(folder / "sample")],
        "caddy": [path, "run", "--config", str(folder / "sample"), "--adapter", "caddyfile"],
    }[name]
    with running(command, folder):
        yield ports


def _make_certificate(folder: Path) -> None:
    """A self-signed one: receiver.crt, receiver.key, and both in receiver.pem."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = folder / "receiver.key", folder / "receiver.crt"
    subprocess.run(  # noqa: S603 (a fixed command)
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    (folder / "receiver.pem").write_text(certificate.read_text() + key.read_text())
