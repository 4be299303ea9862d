"""What a migration would do, known before it runs: its steps, and what going down loses."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection

from app.db.database import Database
from app.db.schema import BASE, HEAD, configured, current_version
from app.errors import ConfigurationError


class Step(NamedTuple):
    """
    One migration that would run.

    Attributes:
        revision: Its name.
        what: The first line of its docstring.
        loses: What its way down loses, in a sentence; empty on the way up.
    """

    revision: str
    what: str
    loses: str


class Plan(NamedTuple):
    """
    What would bring a database to another version.

    Attributes:
        found: The version of the database; `base` if it has none.
        target: The version afterwards.
        steps: The migrations that would run, in their order.
        state: How *found* compares with *target*. `unknown`: this program does not know *found*,
            which is probably of a newer one, and nothing can be planned.
    """

    found: str
    target: str
    steps: Sequence[Step]
    state: Literal["current", "behind", "ahead", "unknown"]


async def planned(database: Database, to: str = HEAD) -> Plan:
    """
    What would bring *database* to revision *to*: the exact name of one, `head` or `base`.

    Raises:
        ConfigurationError: there is no such revision.
        DatabaseUnavailable: the database cannot be reached.
    """
    async with database.reading() as session:
        return await (await session.connection()).run_sync(_planned, to)


def _planned(connection: Connection, to: str) -> Plan:
    scripts = ScriptDirectory.from_config(configured(connection))
    line = list(scripts.walk_revisions())[::-1]  # one after the other, the first one first
    names = [BASE, *(script.revision for script in line)]
    target = names[-1] if to == HEAD else to
    if target not in names:
        raise ConfigurationError(
            f"There is no revision {to}: this program has {', '.join(names)}, and head is "
            f"{names[-1]}."
        )
    found = current_version(connection) or BASE
    if found not in names:
        return Plan(found, target, (), "unknown")
    here, there = names.index(found), names.index(target)
    if there < here:
        return Plan(found, target, [_down(script) for script in line[there:here][::-1]], "ahead")
    steps = [Step(script.revision, _what(script), "") for script in line[here:there]]
    return Plan(found, target, steps, "behind" if steps else "current")


def _down(script: Script) -> Step:
    return Step(script.revision, _what(script), script.module.LOSES)


def _what(script: Script) -> str:
    return script.doc.partition("\n")[0]
