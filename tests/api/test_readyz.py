"""What `/readyz` says when the database answers and does not store."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.conftest import Loop, Service, progress, running

#: As PostgreSQL fails when the disk is full.
_FULL = (
    """
CREATE FUNCTION receiver.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
END $$
""",
    """
CREATE TRIGGER disk_is_full BEFORE INSERT ON receiver.messages
    FOR EACH STATEMENT EXECUTE FUNCTION receiver.disk_is_full()
""",
)


@pytest.fixture
def fresh(loop: Loop, url: str) -> Iterator[Service]:
    with running(loop, url) as service:
        yield service


def _cannot_store(answer: httpx.Response) -> bool:
    if answer.status_code == 200:
        return False
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:routee-receiver:problem:cannot-store"
    return True


def test_a_full_disk_shows_after_the_first_callbacks(fresh: Service) -> None:
    assert fresh.client.get("/readyz").json() == {"result": "ready", "buffer": None}
    for statement in _FULL:
        fresh.sql(statement)
    for _ in range(2):
        assert fresh.post(progress()).status_code == 503
    assert _cannot_store(fresh.client.get("/readyz"))
    assert fresh.client.get("/livez").status_code == 200
    fresh.sql("DROP TRIGGER disk_is_full ON receiver.messages")
    fresh.stored(progress())
    assert not _cannot_store(fresh.client.get("/readyz"))
