"""A media host with real TLS on loopback, and the certificate authority that vouches for it."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

#: What the certificate is for. None of them exists in any name service.
NAMES = ("media.test", "other.test")

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM."""

    authority: Path
    chain: Path
    key: Path

    def client_context(self) -> ssl.SSLContext:
        """Trusts the authority alone."""
        return ssl.create_default_context(cafile=self.authority)


def make_certificates(folder: Path) -> Certificates:
    """A throw-away authority, and a certificate from it for `NAMES`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make certificates")
    made = Certificates(folder / "authority.pem", folder / "host.pem", folder / "host.key")
    authority_key = folder / "authority.key"
    names = ",".join(f"DNS:{name}" for name in NAMES)
    _request(
        *("-subj", "/CN=Throw-away authority", "-addext", "keyUsage=critical,keyCertSign"),
        *("-keyout", authority_key, "-out", made.authority),
    )
    _request(
        *("-subj", "/CN=media.test", "-addext", f"subjectAltName={names}"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-CA", made.authority, "-CAkey", authority_key),
        *("-keyout", made.key, "-out", made.chain),
    )
    return made


def _request(*arguments: str | Path) -> None:
    command = ("openssl", "req", "-x509", *_KEY, *map(str, arguments))
    subprocess.run(command, check=True, capture_output=True, timeout=20)  # noqa: S603


@dataclass(frozen=True, slots=True)
class Answer:
    """What the host says to HEAD, after a while."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    address: str
    server_name: str | None
    method: str
    target: str
    headers: Mapping[str, str]


@dataclass(slots=True)
class MediaHost:
    """Answers by path, and remembers what it was asked."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    server_name: str | None = None

    def url(self, path: str = "/", *, name: str = "media.test") -> str:
        return f"https://{name}:{self.port}{path}"

    def redirects(self, path: str, location: str) -> None:
        self.answers[path] = Answer(302, {"Location": location})

    def remember_name(self, _: object, name: str | None, __: object) -> None:
        self.server_name = name

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the caller hung up
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").splitlines()
        method, target, _ = head[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        address = writer.get_extra_info("sockname")[0]
        self.seen.append(Seen(address, self.server_name, method, target, headers))
        answer = self.answers.get(target, Answer(404))
        await self._wait(answer.after_seconds)
        lines = [f"HTTP/1.1 {answer.status} Word"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        await writer.drain()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return


@asynccontextmanager
async def running_host(certificates: Certificates) -> AsyncIterator[MediaHost]:
    """A host on 127.0.0.1 at a port of its own."""
    host = MediaHost()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.chain, certificates.key)
    context.sni_callback = host.remember_name
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0, ssl=context)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        host.closing.set()
        server.close()
        await server.wait_closed()
