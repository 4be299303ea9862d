"""Whether the database is one that keeps what it has acknowledged, and answers quickly."""

from datetime import UTC, datetime, timedelta
from typing import Final

from app.db.database import Database
from app.db.measuring import replica_lag_seconds
from app.db.server_facts import ServerFacts, read_server
from app.domain.postgres_version import advice_for, is_safe, version_of
from app.services.doctor.examination import Notes

_OLDEST_MAJOR: Final = 18
#: PostgreSQL's default, which suits no server of its own.
_DEFAULT_SHARED_BUFFERS: Final = 128 * 1024**2
_CLOCK_WARNING: Final = timedelta(seconds=2)
_CLOCK_FAULT: Final = timedelta(seconds=60)
#: A segment is archived when it is full, and an idle server fills none.
_ARCHIVED_WITHIN: Final = timedelta(days=1)
#: As the alert in deploy/prometheus/alerts.yml.
_REPLICA_SECONDS: Final = 60.0
_LOSES: Final = "an acknowledged callback may be lost when the machine stops"


class ServerExamination:
    """Checks of one server; it is read once."""

    def __init__(self, database: Database, *, is_embedded: bool, needed_connections: int) -> None:
        self._database = database
        self._is_embedded = is_embedded
        self._needed_connections = needed_connections
        self._facts: ServerFacts | None = None
        self._ahead = timedelta(0)

    async def connection(self, notes: Notes) -> None:
        """Connect, and note what answers."""
        began = datetime.now(UTC)
        facts = await read_server(self._database)
        ended = datetime.now(UTC)
        self._facts = facts
        # It was read between the two; what is beyond them is a difference of the clocks.
        self._ahead = max(facts.clock - ended, began - facts.clock, timedelta(0))
        where = "embedded" if self._is_embedded else "answers"
        notes.ok(f"PostgreSQL {facts.version} {where}, role {facts.role}")
        if facts.is_standby:
            notes.fault(
                "it is a standby, which takes no writes",
                "Name the primary, or all hosts separated by commas, in RECEIVER_DATABASE_URL.",
            )

    async def version(self, notes: Notes) -> None:
        """Note a version that is too old, or has known holes."""
        version = self._known.version
        if version_of(version)[0] < _OLDEST_MAJOR:
            notes.fault(
                f"PostgreSQL {version} is too old", f"Use PostgreSQL {_OLDEST_MAJOR} or later."
            )
        elif not is_safe(version):
            notes.warn(advice_for(version), "Update it before analysts get logins.")
        else:
            notes.ok(f"PostgreSQL {version}")

    async def schema(self, notes: Notes) -> None:
        """Note a schema of another version."""
        await self._database.require_schema()
        notes.ok("the schema is the one that this program needs")

    async def rights(self, notes: Notes) -> None:
        """Note rights that the role lacks, or has too many of."""
        facts = self._known
        if facts.lacking:
            notes.fault(
                f"the role {facts.role} lacks {', '.join(facts.lacking[:3])}"
                + (f" and {len(facts.lacking) - 3} more" if len(facts.lacking) > 3 else ""),  # noqa: PLR2004
                "Run `routee-receiver migrate` as this role, which then owns the tables, or grant "
                "them.",
            )
        elif facts.is_superuser and not self._is_embedded:
            notes.warn(
                f"the role {facts.role} is a superuser",
                "Give the service a role of its own: docs/deployment.md.",
            )
        else:
            notes.ok(f"the role {facts.role} may read and write all tables")

    async def durability(self, notes: Notes) -> None:
        """Note settings by which acknowledged callbacks could be lost."""
        settings = self._known.settings
        advice = "Set it on, and restart PostgreSQL."
        for name in ("fsync", "full_page_writes"):
            if settings[name] != "on":
                notes.fault(f"{name} is {settings[name]}: {_LOSES}", advice)
        if settings["data_checksums"] != "on":
            notes.warn(
                "data_checksums is off: damage on the disk is not noticed",
                "Stop PostgreSQL and run pg_checksums --enable.",
            )
        if settings["synchronous_commit"] == "off":
            notes.warn(
                "synchronous_commit is off for this role; the service sets it for itself, others "
                "do not",
                "Remove it from the role, the database or postgresql.conf.",
            )
        if not notes.found:
            standbys = settings["synchronous_standby_names"]
            notes.ok(
                "fsync, full_page_writes and checksums are on; a commit waits for "
                + (f"the standby ({standbys})" if standbys else "this server's disk alone")
            )

    async def capacity(self, notes: Notes) -> None:
        """Note too little memory, or too few connections for the processes of the service."""
        facts = self._known
        shared = int(facts.settings["shared_buffers"])
        if shared <= _DEFAULT_SHARED_BUFFERS and not self._is_embedded:
            notes.warn(
                f"shared_buffers is {shared // 1024**2} MB",
                "Give it a quarter of the machine's memory, and restart PostgreSQL.",
            )
        needed, most = self._needed_connections, facts.connections
        text = f"one process needs up to {needed} connections, the role may have {most}"
        if needed > most:
            notes.fault(text, "Raise max_connections, or the limit of the role.")
        elif 2 * needed > most:
            notes.warn(
                text + ": not enough for a second process beside it, as in a rolling restart",
                "Raise max_connections, or the limit of the role.",
            )
        else:
            notes.ok(f"{text}; {facts.sessions} sessions are open")

    async def clock(self, notes: Notes) -> None:
        """Note clocks that differ."""
        seconds = self._ahead.total_seconds()
        text = f"the clocks of this machine and of the database differ by {seconds:.1f} s"
        advice = "Set both by NTP: ages, leases and retention compare the two."
        if self._ahead > _CLOCK_FAULT:
            notes.fault(text, advice)
        elif self._ahead > _CLOCK_WARNING:
            notes.warn(text, advice)
        else:
            notes.ok("the clocks of this machine and of the database agree")

    async def backup(self, notes: Notes) -> None:
        """Note an archive of the write-ahead log that fails, or that there is none."""
        facts = self._known
        if facts.settings["archive_mode"] == "off":
            notes.warn(
                "the write-ahead log is not archived: a restore loses what came after the last "
                "backup",
                "See docs/backup.md; nothing to do where a managed service keeps backups.",
            )
            return
        failed, archived = facts.archiving_failed_at, facts.archived_at
        if failed is not None and (archived is None or failed > archived):
            notes.fault(
                f"archiving the write-ahead log fails, last at {failed:%Y-%m-%d %H:%M} UTC; "
                + (
                    f"it succeeded last at {archived:%Y-%m-%d %H:%M} UTC"
                    if archived
                    else "it never succeeded"
                ),
                "See PostgreSQL's log for the output of archive_command; the disk fills meanwhile.",
            )
        elif archived is None or facts.clock - archived > _ARCHIVED_WITHIN:
            notes.warn(
                f"nothing was archived since {archived:%Y-%m-%d %H:%M} UTC"
                if archived
                else "nothing was ever archived",
                "Set archive_timeout, so that an idle server archives too.",
            )
        else:
            notes.ok(f"the write-ahead log was archived at {archived:%Y-%m-%d %H:%M} UTC")

    @property
    def _known(self) -> ServerFacts:
        assert self._facts is not None  # noqa: S101 (`connection` is needed by the others)
        return self._facts


async def examine_replica(primary: Database, replica: Database, notes: Notes) -> None:
    """Note whether what reads are sent to answers, has the tables, and keeps up with *primary*."""
    facts = await read_server(replica)
    await replica.require_schema()
    kind = "a standby" if facts.is_standby else "a primary"
    seconds = await replica_lag_seconds(primary, replica)
    if seconds > _REPLICA_SECONDS:
        notes.warn(
            f"PostgreSQL {facts.version}, {kind}, answers reads with what is {seconds:.0f} s old",
            "See docs/runbooks.md, the replica is behind.",
        )
    else:
        notes.ok(f"PostgreSQL {facts.version}, {kind}, answers reads")
