"""
The service with one promise broken on purpose: `python broken.py HOW serve …`.

Builds that are broken in the database need no other program: see `STATEMENTS`.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.buffer.connection import Buffer
from app.db import ingest
from app.sandbox.drill.mode import Build
from app.services.callbacks.intake import Body, Done, Intake, Receipt

#: Patches a function of the database; one that no longer fits fails.
_PATCH: Final = """
DO $patch$
DECLARE
    before text := pg_get_functiondef('append_events'::regproc);
    after text := replace(before, $old${old}$old$, $new${new}$new$);
BEGIN
    IF before = after THEN RAISE EXCEPTION 'the patch does not fit'; END IF;
    EXECUTE after;
END $patch$
"""


def _acknowledge_before_the_commit() -> None:
    put = Intake.put

    def _put(self: Intake, body: Body, done: Done) -> None:
        done(Receipt.STORED)
        put(self, body, lambda _: None)

    Intake.put = _put  # type: ignore[method-assign]


def _publish_without_waiting() -> None:
    async def _publish(self: Buffer, message: bytes) -> None:
        with suppress(Exception):
            client = await self._connected()
            await client.publish(self._stream, message)

    Buffer.publish = _publish  # type: ignore[method-assign]


def _commit_asynchronously() -> None:
    ingest._SESSION_SETTINGS["synchronous_commit"] = "off"


def _drop_the_quarantine() -> None:
    async def _append(*_: object) -> None:
        pass

    ingest.append_quarantined = _append  # type: ignore[assignment]


_CHANGES: Final[dict[str, Callable[[], None]]] = {
    "acknowledge before the commit": _acknowledge_before_the_commit,
    "acknowledge a publish without its acknowledgement": _publish_without_waiting,
    "synchronous_commit = off": _commit_asynchronously,
    "quarantine dropped": _drop_the_quarantine,
}
_STATEMENTS: Final = {
    "identity by message and status alone": _PATCH.format(
        old="WHERE (SELECT count(*) FROM upserted) >= 0",
        new="WHERE (SELECT count(*) FROM upserted) >= 0 AND NOT EXISTS (SELECT FROM events AS x"
        " WHERE x.message_tracking_id = unnest.message_tracking_id"
        " AND x.status_key = unnest.status_key)",
    ),
    "count twice": _PATCH.format(
        old="SELECT campaign, status, sum(messages) FROM",
        new="SELECT campaign, status, 2 * sum(messages) FROM",
    ),
    # With one transaction id for all items, their order is that of their ids, and no transaction
    # that still runs holds any of them back.
    "feed by id": "ALTER TABLE events ALTER COLUMN xid SET DEFAULT '3';"
    "ALTER TABLE inbound_messages ALTER COLUMN xid SET DEFAULT '3'",
}


def build(how: str) -> Build:
    """The build that is broken in this way."""
    if how in _STATEMENTS:
        return Build(statements=_STATEMENTS[how])
    assert how in _CHANGES
    return Build(command=(sys.executable, str(Path(__file__)), how))


if __name__ == "__main__":
    from app.cli import main

    _CHANGES[sys.argv.pop(1)]()
    main()
