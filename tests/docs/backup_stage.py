"""Servers and folders for the commands of docs/backup.md, and the commands themselves."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.embedded.binaries import find_binaries
from app.embedded.site import Paths, find_site
from tests.docs.pages import ROOT, blocks_of

_PAGE: Final = ROOT / "docs" / "backup.md"
_SECTION: Final = re.compile(r"^#{2,3} (.+)\n((?:(?!^##).*\n)*)", re.MULTILINE)
#: PostgreSQL refuses to run as root; an operator is `postgres` when he starts it.
_AS_ACCOUNT: Final = """#!/bin/sh
chown -R {uid}:{gid} "$RESTORED"
: >> "$RESTORED.log" && chown {uid}:{gid} "$RESTORED.log"
cd /
exec setpriv --reuid={uid} --regid={gid} --clear-groups {pg_ctl} "$@"
"""


def commands_by_heading() -> dict[str, str]:
    """The commands of the page below each heading that has any."""
    found = {}
    for heading, _ in _SECTION.findall(_PAGE.read_text()):
        if commands := _commands_below(heading):
            found[heading] = commands
    return found


def _commands_below(heading: str) -> str:
    text = dict(_SECTION.findall(_PAGE.read_text()))[heading]
    return "".join(block for block in blocks_of(_PAGE, "console") if block in text)


class Shell:
    """
    Runs the commands of the page with PostgreSQL's programs of the embedded server.

    Args:
        folder: For backups and for programs; the account of the server may read it.
        data_dir: A data directory, whose account and programs are used.
    """

    def __init__(self, folder: Path, data_dir: Path) -> None:
        site = find_site(Paths(data_dir))
        own = folder / "bin"
        self.backups = folder / "backups"
        self.ran: list[str] = []
        own.mkdir()
        (self.backups / "wal").mkdir(parents=True)
        if site.account.switch:
            os.chown(self.backups / "wal", site.account.uid, site.account.gid)
            pg_ctl = own / "pg_ctl"
            pg_ctl.write_text(
                _AS_ACCOUNT.format(
                    uid=site.account.uid,
                    gid=site.account.gid,
                    pg_ctl=site.binaries.programs / "pg_ctl",
                )
            )
            pg_ctl.chmod(0o755)
        programs = [own, find_binaries().programs, Path(sys.executable).parent]
        self._path = ":".join([*map(str, programs), os.environ["PATH"]])

    async def run(self, heading: str, **settings: object) -> str:
        """Run what the page has below *heading*; none of it may fail. Return what it printed."""
        self.ran.append(heading)
        return await self.execute(commands_by_heading()[heading], settings)

    async def execute(self, commands: str, settings: Mapping[str, object]) -> str:
        """Run *commands* with *settings* as variables."""
        own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
        given = {name: str(value) for name, value in settings.items()}
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-euo", "pipefail", "-c", commands],
            env=own | {"PATH": self._path, "BACKUPS": str(self.backups)} | given,
            cwd=self.backups,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout
