"""
`python -P revision_postgres.py DATA_DIR`, with another revision on the PYTHONPATH.

Runs the embedded PostgreSQL of that revision with its schema, prints the URL of the database, and
ends when its standard input does.
"""

import asyncio
import importlib
import sys
from pathlib import Path

#: Where `EmbeddedPostgres` is, in one revision or another.
_MODULES = ("app.embedded", "app.db.embedded")


def _embedded_postgres() -> type:
    for name in _MODULES:
        try:
            found: type = importlib.import_module(name).EmbeddedPostgres
        except ModuleNotFoundError:
            continue
        else:
            return found
    raise SystemExit("this revision has no embedded PostgreSQL")


async def _run(data_dir: Path) -> None:
    migrate_database = importlib.import_module("app.db.database").migrate_database
    server = _embedded_postgres()(data_dir)
    url = await server.acquire()
    try:
        await migrate_database(url)
        sys.stdout.write(url + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await server.release()


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1])))
