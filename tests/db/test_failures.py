import asyncpg
import pytest

from app.db.failures import Contended, ValuesRefused, translated
from app.errors import DatabaseUnavailable, ReceiverError
from tests.database import connect

_RAISE = "DO $$ BEGIN RAISE EXCEPTION 'quoting +306912345678' USING ERRCODE = '{}'; END $$"


_MEANINGS: list[tuple[str, type[ReceiverError]]] = [
    ("22001", ValuesRefused),
    ("22003", ValuesRefused),
    ("22021", ValuesRefused),
    ("22P05", ValuesRefused),
    ("23502", ValuesRefused),
    ("23514", ValuesRefused),
    ("54000", ValuesRefused),
    ("40001", Contended),
    ("40P01", Contended),
    ("08006", DatabaseUnavailable),
    ("25006", DatabaseUnavailable),
    ("40003", DatabaseUnavailable),
    ("42501", DatabaseUnavailable),
    ("42P01", DatabaseUnavailable),
    ("53100", DatabaseUnavailable),
    ("53200", DatabaseUnavailable),
    ("53300", DatabaseUnavailable),
    ("55P03", DatabaseUnavailable),
    ("57014", DatabaseUnavailable),
    ("57P01", DatabaseUnavailable),
    ("58030", DatabaseUnavailable),
    ("XX000", DatabaseUnavailable),
    ("XX001", DatabaseUnavailable),
    ("P0001", DatabaseUnavailable),
]


async def test_only_errors_of_the_values_blame_the_values(
    connection: asyncpg.Connection,
) -> None:
    for sqlstate, meaning in _MEANINGS:
        with pytest.raises(ReceiverError) as raised, translated():
            await connection.execute(_RAISE.format(sqlstate))
        assert type(raised.value) is meaning, sqlstate
        assert sqlstate in str(raised.value)
        assert "+306912345678" not in str(raised.value)


_UNENCODABLE: list[tuple[str, list[object]]] = [
    ("text[]", ["lone surrogate \ud800"]),
    ("text[]", ["nul \x00"]),
    ("smallint[]", [2**40]),
    ("bytea[]", ["not bytes"]),
    ("uuid[]", ["no uuid"]),
]


async def test_values_that_cannot_be_encoded_are_refused(
    connection: asyncpg.Connection,
) -> None:
    for kind, value in _UNENCODABLE:
        with pytest.raises(ValuesRefused), translated():
            await connection.fetchval(f"SELECT $1::{kind}", value)
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_lost_connection_means_that_the_database_is_unavailable(
    connection: asyncpg.Connection, url: str
) -> None:
    other = await connect(url)
    await connection.execute("SELECT pg_terminate_backend($1)", other.get_server_pid())
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable), translated():
            await other.fetchval("SELECT 1")


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), TimeoutError(), EOFError(), asyncpg.InterfaceError("x")]
)
def test_network_errors_do_not_blame_the_values(error: Exception) -> None:
    with pytest.raises(DatabaseUnavailable), translated():
        raise error
