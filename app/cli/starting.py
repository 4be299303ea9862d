"""The lines with which `serve` and `work` start."""

from app.db.database import Database, schema_version
from app.db.explaining import where_of
from app.errors import DatabaseUnavailable
from app.main import retention_of
from app.settings import Settings


async def database_line(settings: Settings, url: str) -> tuple[str, str | None]:
    """
    The server and its schema, in words, and the version of the server; None if it does not answer.

    *url* is that of *settings*, or of the embedded server if they have none.
    """
    place = f"at {where_of(url)}" if settings.database_url else f"embedded in {settings.data_dir}"
    database = Database(url, name="cli", pool_items=1)
    try:
        schema = await database.require_schema(accepts_newer=True)
        server = await database.server_version()
    except DatabaseUnavailable:
        return f"PostgreSQL {place}, which does not answer yet", None
    finally:
        await database.close()
    newer = "" if schema == schema_version() else f", newer than this program's {schema_version()}"
    return f"schema {schema}{newer}, PostgreSQL {server} {place}", server


def abilities_line(settings: Settings) -> str:
    """Which of the greater abilities are on, and what the others lack."""
    retention = retention_of(settings)
    periods = {
        "payloads": settings.retention_raw_days,
        "events": settings.retention_events_days,
        "messages": settings.retention_messages_days,
        "replies": settings.retention_inbound_days,
    }
    kept = ", ".join(f"{kind} {days} days" for kind, days in periods.items() if days is not None)
    missing = ", ".join(settings.missing_for_launching())
    launching = f"off (not set: {missing})" if missing else "on"
    keys = "RECEIVER_ERASURE_KEYS, RECEIVER_SIGNING_KEYS"
    erasure = "on" if settings.keys_for_erasure() else f"off (not set: {keys})"
    removing = "off (nothing is removed)" if retention.is_unlimited else f"on ({kept})"
    buffer = (
        f"on (stream {settings.buffer_stream})"
        if settings.buffer_url
        else "off (not set: RECEIVER_BUFFER_URL)"
    )
    traces = ", traces on" if settings.traces_url else ""
    return (
        f"launching {launching}, erasure {erasure}, retention {removing}, buffer {buffer}{traces}"
    )
