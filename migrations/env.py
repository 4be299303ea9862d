"""How Alembic reaches the database: over the connection that `app.db.schema` hands it."""

from alembic import context
from sqlalchemy.dialects.postgresql.base import ischema_names

from app.db.tables import METADATA, TransactionId

ischema_names.setdefault("xid8", TransactionId)


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Partitions, and tables that are reached by SQL alone, are not in the metadata."""
    return kind != "table" or name in METADATA.tables


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    include_name=_is_ours,
    transaction_per_migration=True,
    on_version_apply=context.config.attributes.get("on_version_apply"),
)
with context.begin_transaction():
    context.run_migrations()
