"""
`make release-files VERSION=1.2.3` writes what a release promises to `openapi/released/1.2.3`.

The API's documents are copied; `make` has written them anew. The views are read from a database of
its own that is made for it.
"""

import asyncio
import json
import re
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.db.database import migrate_database
from app.embedded import EmbeddedPostgres
from tests.database import connect
from tests.released.names import (
    RELEASED,
    ROOT,
    Columns,
    metric_names,
    migration_files,
    numbers,
    view_columns,
)

DOCUMENTS = ("openapi.json", "asyncapi.yaml")


def write(release: str, columns: Columns, folder: Path = RELEASED) -> Path:
    """
    Write the files of *release*, and return their folder.

    Raises:
        FileExistsError: they are there: what was released does not change.
    """
    made = folder / release
    made.mkdir(parents=True)
    for name in DOCUMENTS:
        shutil.copyfile(ROOT / "openapi" / name, made / name)
    _write_json(made / "metrics.json", metric_names())
    _write_json(made / "bi_v1.json", {"columns": columns, "files": migration_files()})
    return made


def unready(release: str, *, own: str, changelog: str) -> str:
    """What keeps *release* from being made by a program of version *own*; empty if nothing."""
    try:
        numbers(release)
    except ValueError:
        return "Name the version, as in: make release-files VERSION=0.1.0"
    if release != own:
        return f"pyproject.toml says {own}, not {release}: change `version` there first."
    if not re.search(
        rf"^## \[{re.escape(release)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE
    ):
        return f"CHANGELOG.md has no heading `## [{release}] - YEAR-MONTH-DAY`: write it first."
    return ""


async def _columns() -> Columns:
    # Below /tmp, which the account that runs the server can reach.
    with tempfile.TemporaryDirectory(prefix="rr-release-") as folder:
        async with EmbeddedPostgres(Path(folder) / "var") as url:
            await migrate_database(url)
            connection = await connect(url)
            try:
                return await view_columns(connection)
            finally:
                await connection.close()


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Write the files of the release that the argument names."""
    release = "".join(sys.argv[1:])
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if reason := unready(release, own=version("routee-receiver"), changelog=changelog):
        sys.exit(reason)
    try:
        made = write(release, asyncio.run(_columns()))
    except FileExistsError:
        sys.exit(f"openapi/released/{release} is there already: what was released does not change.")
    print(f"Written: {made.relative_to(ROOT)}. Commit it.")  # noqa: T201 (a program)


if __name__ == "__main__":
    main()
