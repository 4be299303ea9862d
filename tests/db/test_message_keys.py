import asyncpg
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from app.db.message_keys import MessageKey, message_key, plain_id, tracking_id_of

DIALECT = make_url("postgresql+asyncpg://").get_dialect()()
IDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda id_: str(id_).upper()),
    st.uuids().map(lambda id_: id_.hex),
    # The lengths at which a key could be taken for that of a UUID.
    st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=13, max_size=17),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30),
)
AWKWARD = [
    "0a047b46-a4dd-4ca8-b817-a6a134dd1234",
    "0A047B46-A4DD-4CA8-B817-A6A134DD1234",
    "0a047b46a4dd4ca8b817a6a134dd1234",
    "0a047b46-a4dd-4ca8-b817-a6a134dd1234\n",
    "{0a047b46-a4dd-4ca8-b817-a6a134dd1234}",
    *("m" * length for length in (1, 14, 15, 16, 17, 512)),
    "é" * 8,
    "\x01" * 15,
]


@given(IDS)
def test_an_id_comes_back_from_its_key(tracking_id: str) -> None:
    assert tracking_id_of(message_key(tracking_id)) == tracking_id


@given(IDS, IDS)
def test_no_two_ids_have_one_key(one: str, other: str) -> None:
    assert (message_key(one) == message_key(other)) == (one == other)


@given(st.uuids())
def test_a_uuid_takes_sixteen_bytes(uuid: object) -> None:
    assert len(message_key(str(uuid))) == 16
    assert plain_id(str(uuid), message_key(str(uuid))) is None


@given(IDS)
def test_an_id_is_stored_itself_where_its_key_is_no_uuid(tracking_id: str) -> None:
    key = message_key(tracking_id)
    assert plain_id(tracking_id, key) == (None if len(key) == 16 else tracking_id)


async def test_the_database_makes_the_same_keys(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT id, message_key(id) FROM unnest($1::text[]) AS given(id)", AWKWARD
    )
    assert {row[0]: row[1] for row in rows} == {id_: message_key(id_) for id_ in AWKWARD}
    assert await connection.fetchval("SELECT message_key(NULL)") is None


async def test_whoever_asks_in_sql_sees_ids(connection: asyncpg.Connection) -> None:
    await connection.executemany(
        "INSERT INTO messages (message_key, plain_id, status_at, status_rank, status_key,"
        " provider_status) VALUES ($1, $2, now(), 0, '', '')",
        [(message_key(id_), plain_id(id_, message_key(id_))) for id_ in AWKWARD],
    )
    found = await connection.fetch("SELECT message_tracking_id FROM messages")
    assert {id_ for (id_,) in found} == set(AWKWARD)
    for id_ in AWKWARD:
        one = "SELECT count(*) FROM messages WHERE message_tracking_id = $1"
        assert await connection.fetchval(one, id_) == 1


def test_nothing_has_no_key() -> None:
    assert MessageKey().process_bind_param(None, DIALECT) is None
    assert MessageKey().process_result_value(None, DIALECT) is None
