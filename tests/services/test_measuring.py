import asyncpg

from app.db.database import Database
from app.observability.metrics import Metrics
from app.services.measuring import Measuring


async def test_what_only_the_database_knows_is_measured(
    url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("""
        INSERT INTO quarantine (sha256, reason, path, body) VALUES ('1', 'not-json', '/', '');
        INSERT INTO campaigns (submission, created_at)
        VALUES ('unconfirmed', now() - interval '1 hour'), ('launched', now());
        INSERT INTO inbound_messages (identity, received_at)
        VALUES ('1', now() - interval '1 minute');
    """)
    database, metrics = Database(url), Metrics()
    measuring = Measuring(database, database, metrics)
    await measuring.perform()
    shown = metrics.registry.get_sample_value
    assert shown("receiver_launches_unconfirmed") == 1
    assert 3600 <= (shown("receiver_launches_unconfirmed_age_seconds") or 0) < 4000
    assert shown("receiver_quarantine_bodies", {"reason": "not-json"}) == 1
    assert (shown("receiver_database_bytes") or 0) > 1_000_000
    assert shown("receiver_replica_lag_seconds") == 0
    assert shown("receiver_roll_up_pending_events") == 0
    ages = [family for family in metrics.collect() if "newest" in family.name]
    assert 60 <= ages[0].samples[0].value < 400
    await connection.execute("DELETE FROM quarantine")
    await measuring.perform()
    assert shown("receiver_quarantine_bodies", {"reason": "not-json"}) == 0
    await database.close()
