"""Searching all that is stored, and a dump of it, for a number."""

import asyncio
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from app.db.payloads import opened
from app.db.payloads.codec import CURRENT
from app.embedded.binaries import find_binaries
from app.errors import PayloadUnreadable
from tests.database import connect

_SAMPLES = "SELECT concat_ws(' ', most_common_vals::text, histogram_bounds::text) FROM pg_stats"


def digits_in(text: str) -> list[str]:
    """Where the number of the tests, 306912345678, stands in *text*, in whatever spelling."""
    return re.findall(r"3\W{0,2}0\W{0,2}6\W{0,2}9\W{0,2}1\W{0,2}2\W{0,2}3\W{0,2}4.*", text)


async def everything(connection: asyncpg.Connection) -> str:
    """All that is stored, of every column of every table, the payloads opened."""
    tables = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'receiver'::regnamespace"
    )
    found = [await samples(connection)]
    for (name,) in tables:
        for row in await connection.fetch(f"SELECT t.* FROM {name} t"):  # noqa: S608
            found += [_shown(value) for value in row.values()]
            if "payload_dictionary" in row and row["payload"] is not None:
                found.append(_shown(opened(row["payload"], row["payload_dictionary"])))
    return "\n".join(found)


async def samples(connection: asyncpg.Connection) -> str:
    """What PostgreSQL has sampled, bytes as the characters that they are, payloads opened."""
    found = "\n".join([row[0] for row in await connection.fetch(_SAMPLES)])
    binary = [bytes.fromhex(one) for one in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", found)]
    for one in list(binary):
        with suppress(PayloadUnreadable):
            binary.append(opened(one, CURRENT))
    return "\n".join([found, *map(_shown, binary)])


async def everything_in_a_dump(url: str, file: Path) -> str:
    """All that a fresh dump to *file* has, restored to another database of the same server."""
    name = f"restored_{uuid4().hex}"
    restored = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    server = await connect(url)
    await server.execute(f"CREATE DATABASE {name}")
    for command in (
        [_program("pg_dump"), "--format=custom", f"--file={file}", url],
        [_program("pg_restore"), "--exit-on-error", f"--dbname={restored}", str(file)],
    ):
        await asyncio.to_thread(subprocess.run, command, check=True)
    connection = await connect(restored)
    found = await everything(connection)
    await connection.close()
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()
    return found


def _program(name: str) -> str:
    return str(find_binaries().folder / "bin" / name)


def _shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
