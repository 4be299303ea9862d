"""The reverse proxies that people put in front, from Debian, each with its usual configuration."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.sandbox.processes import HOST
from tests.promises.stage import eventually, free_port

#: With the snippet for web sockets that its manual gives, for all paths.
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
    client_max_body_size 0;
    upstream receiver {{ server {host}:{upstream}; keepalive 32; }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://receiver;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }}
    }}
}}
"""
_HAPROXY_DEFAULTS: Final = """
global
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option http-keep-alive
    http-reuse always
"""
_HAPROXY: Final = (
    _HAPROXY_DEFAULTS
    + """frontend all
    bind {host}:{port}
    default_backend receiver
backend receiver
    server one {host}:{upstream}
"""
)
_BALANCER: Final = (
    _HAPROXY_DEFAULTS
    + """    timeout check 10s
    option redispatch
    retries 3
frontend all
    bind {host}:{port}
    stats uri /balancer
    default_backend receivers
backend receivers
    option httpchk GET /readyz
    default-server check inter 200ms fall 1 rise 1
    server one {host}:{one}
    server two {host}:{two}
"""
)
_CADDY: Final = """
{{
    admin off
    auto_https off
    storage file_system {folder}
}}
http://:{port} {{
    bind {host}
    reverse_proxy {host}:{upstream}
}}
"""

_CONFIGURATIONS: Final = {"nginx": _NGINX, "haproxy": _HAPROXY, "caddy": _CADDY}
#: None: the service itself.
PROXIES: Final = ["none", *_CONFIGURATIONS]


@contextmanager
def proxy(name: str, upstream: int, folder: Path) -> Iterator[int]:
    """The port of a running proxy in front of the port *upstream*; the test is skipped without."""
    if name == "none":
        yield upstream
        return
    path = program(name)
    port = free_port()
    file = folder / f"{name}.conf"
    file.write_text(
        _CONFIGURATIONS[name].format(host=HOST, port=port, upstream=upstream, folder=folder)
    )
    command = {
        "nginx": [path, "-p", str(folder), "-c", str(file)],
        "haproxy": [path, "-db", "-f", str(file)],
        "caddy": [path, "run", "--config", str(file), "--adapter", "caddyfile"],
    }[name]
    with running(command, folder):
        yield port


@contextmanager
def balancer(one: int, two: int, folder: Path) -> Iterator[int]:
    """The port of a haproxy in front of two services; the test is skipped without it."""
    port, file = free_port(), folder / "balancer.conf"
    file.write_text(_BALANCER.format(host=HOST, port=port, one=one, two=two))
    with running([program("haproxy"), "-db", "-f", str(file)], folder):
        yield port


def program(name: str) -> str:
    """Where the program *name* is; the test is skipped without it."""
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")
    return program


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[None]:
    """While the block runs, *command* does, with its output in *folder*."""
    with (folder / f"{Path(command[0]).name}.out").open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 (a fixed command)
            command, stdout=out, stderr=out, env={"HOME": str(folder), "PATH": "/usr/bin"}
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


async def uses_both(port: int) -> None:
    """Return when the balancer at *port* has found both services ready."""
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=5) as client:

        async def _is_complete() -> bool:
            try:
                lines = (await client.get("/balancer;csv")).text.splitlines()
            except httpx.TransportError:
                return False
            servers = [line.split(",") for line in lines if line.startswith("receivers,")]
            return [line[17] for line in servers] == ["UP", "UP", "UP"]

        await eventually(_is_complete)
