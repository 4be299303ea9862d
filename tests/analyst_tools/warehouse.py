"""A PostgreSQL beside that of the service, with `postgres_fdw`, which the wheel does not have."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.clients.workshop import environment_of_programs, run_commands
from tests.promises.stage import free_port

_INSTALLED: Final = Path("/usr/lib/postgresql")
_EXTENSIONS: Final = Path("/usr/share/postgresql")
#: PostgreSQL does not run as root.
_ACCOUNT: Final = "postgres"


def _programs() -> Path:
    for folder in sorted(_INSTALLED.glob("*"), reverse=True):
        if (_EXTENSIONS / folder.name / "extension" / "postgres_fdw.control").exists():
            return folder / "bin"
    pytest.skip("a warehouse with postgres_fdw needs the Debian package postgresql")


@contextmanager
def running_warehouse() -> Iterator[int]:
    """The port of a new server on 127.0.0.1, with the superuser `warehouse` and no password."""
    programs, port = _programs(), free_port()
    with tempfile.TemporaryDirectory(prefix="warehouse-") as name:
        folder, switch = Path(name), ""
        if os.geteuid() == 0:
            shutil.chown(folder, _ACCOUNT)
            switch = f"runuser -u {_ACCOUNT} -- "
        control = f"{switch}{programs}/pg_ctl -D {folder}/data"

        def _run(command: str) -> None:
            run_commands([command], folder=folder, environment=environment_of_programs())

        _run(f"{switch}{programs}/initdb -D {folder}/data -U warehouse -A trust -E UTF8 --no-sync")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        _run(f"{control} -w -l {folder}/log -o '{options}' start")
        try:
            yield port
        finally:
            _run(f"{control} -m fast -w stop")
