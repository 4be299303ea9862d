"""What is exported is what PostgreSQL has, by checksums that it makes itself."""

import io
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app.db.exports import ExportFilter, ExportTable, Reading
from app.errors import DatabaseUnavailable, TooManyExports
from app.services.exports.columns import COLUMNS, CellKind, Row
from app.services.exports.exports import (
    MAX_EXPORTS,
    ExportRequest,
    Exports,
    Format,
    encoder_of,
    exported,
)
from app.services.exports.parquet import DayFolders
from app.services.exports.text import Cells
from tests.database import connect
from tests.services.exports.export_stage import (
    CAMPAIGN,
    HARD_TEXTS,
    NUMBER,
    OWN_ID,
    T0,
    checksum,
    fill,
    read_csv,
    read_ndjson,
    stored_checksum,
)

Rows = list[dict[str, Any]]

OF_CAMPAIGN = (
    f"(SELECT message_tracking_id FROM messages WHERE campaign_tracking_id = '{CAMPAIGN}')"  # noqa: S608
)
REPLIES_OF_CAMPAIGN = (
    f"campaign_tracking_id = '{CAMPAIGN}' OR "
    f"(campaign_tracking_id IS NULL AND reference_tracking_id IN {OF_CAMPAIGN})"
)


@pytest.fixture(name="filled")
async def _filled(connection: asyncpg.Connection) -> asyncpg.Connection:
    await fill(connection)
    return connection


def read_parquet(content: bytes) -> Rows:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    rows: Rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    return rows


READERS: dict[Format, Callable[[bytes], Rows]] = {
    Format.CSV: read_csv,
    Format.NDJSON: read_ndjson,
    Format.PARQUET: read_parquet,
}


async def exported_bytes(
    url: str, wanted: ExportRequest, format_: Format, cells: Cells = Cells.EXACT
) -> bytes:
    encoder = encoder_of(wanted.table, format_, cells)
    async with Exports(url).served(wanted, encoder) as export:
        return b"".join([chunk async for chunk in export.chunks])


async def exported_rows(
    url: str,
    table: ExportTable,
    *,
    mask_numbers: bool = False,
    **rows: Any,  # noqa: ANN401
) -> Rows:
    wanted = ExportRequest(table, ExportFilter(**rows), mask_numbers)
    return read_ndjson(await exported_bytes(url, wanted, Format.NDJSON))


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("table", ExportTable)
async def test_what_is_exported_is_what_is_stored(
    filled: asyncpg.Connection, url: str, table: ExportTable, format_: Format
) -> None:
    rows = READERS[format_](await exported_bytes(url, ExportRequest(table), format_))
    assert len(rows) >= 2
    assert checksum(table, rows) == await stored_checksum(filled, table)
    assert all(tuple(row) == COLUMNS[table].names for row in rows)


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("table", ExportTable)
async def test_an_empty_table_is_a_complete_file(
    url: str, table: ExportTable, format_: Format
) -> None:
    assert READERS[format_](await exported_bytes(url, ExportRequest(table), format_)) == []


async def test_a_checksum_notices_a_changed_cell(filled: asyncpg.Connection, url: str) -> None:
    rows = await exported_rows(url, ExportTable.MESSAGES)
    rows[3]["label"] = (rows[3]["label"] or "") + " "
    changed = checksum(ExportTable.MESSAGES, rows)
    assert changed != await stored_checksum(filled, ExportTable.MESSAGES)


@pytest.mark.parametrize("campaign", [CAMPAIGN, str(OWN_ID)])
@pytest.mark.parametrize(
    ("table", "condition"),
    [
        (ExportTable.MESSAGES, f"campaign_tracking_id = '{CAMPAIGN}'"),
        (ExportTable.EVENTS, f"message_tracking_id IN {OF_CAMPAIGN}"),
        (ExportTable.INBOUND_MESSAGES, REPLIES_OF_CAMPAIGN),
        (ExportTable.CAMPAIGNS, f"tracking_id = '{CAMPAIGN}'"),
    ],
)
async def test_one_campaign_by_either_id(
    filled: asyncpg.Connection, url: str, campaign: str, table: ExportTable, condition: str
) -> None:
    rows = await exported_rows(url, table, campaign=campaign)
    assert checksum(table, rows) == await stored_checksum(filled, table, condition)
    assert len(rows) == len(HARD_TEXTS) // 2 + 1 or table not in {
        ExportTable.MESSAGES,
        ExportTable.EVENTS,
    }


async def test_a_campaign_without_a_tracking_id_has_what_came_through_its_token(
    filled: asyncpg.Connection, url: str
) -> None:
    own_id = uuid4()
    await filled.execute("INSERT INTO campaigns (id, submission) VALUES ($1, 'launching')", own_id)
    for table in ("messages", "inbound_messages"):
        await filled.execute(
            f"UPDATE {table} SET campaign_tracking_id = NULL, campaign_id = $1 "  # noqa: S608
            "WHERE label = 'plain'",
            own_id,
        )
    await filled.execute("UPDATE events SET campaign_tracking_id = NULL WHERE label = 'plain'")
    for table, expected in (("messages", 1), ("events", 1), ("inbound-messages", 1)):
        rows = await exported_rows(url, ExportTable(table), campaign=str(own_id))
        assert [row["label"] for row in rows] == ["plain"] * expected, table


async def test_an_unknown_campaign_has_no_rows(filled: asyncpg.Connection, url: str) -> None:
    del filled
    for table in ExportTable:
        assert await exported_rows(url, table, campaign="c-unknown") == []


@pytest.mark.parametrize(
    ("table", "time"),
    [
        (ExportTable.MESSAGES, "updated_at"),
        (ExportTable.EVENTS, "received_at"),
        (ExportTable.INBOUND_MESSAGES, "received_at"),
        (ExportTable.CAMPAIGNS, "created_at"),
    ],
)
async def test_times_are_from_and_before(
    filled: asyncpg.Connection, url: str, table: ExportTable, time: str
) -> None:
    since, until = T0, T0 + timedelta(hours=35)  # both are times of rows
    rows = await exported_rows(url, table, since=since, until=until)
    condition = f"{time} >= '{since}' AND {time} < '{until}'"
    assert 0 < len(rows) < len(await exported_rows(url, table))
    assert checksum(table, rows) == await stored_checksum(filled, table, condition)


async def test_masking_leaves_no_number(filled: asyncpg.Connection, url: str) -> None:
    await filled.execute("UPDATE messages SET description = 'refused ' || $1", NUMBER)
    for table in ExportTable:
        wanted = ExportRequest(table, mask_numbers=True)
        content = await exported_bytes(url, wanted, Format.NDJSON)
        assert NUMBER[1:].encode() not in content
        assert b"***123" in content


async def test_no_token_and_no_payload_is_exported(filled: asyncpg.Connection, url: str) -> None:
    del filled
    for table in ExportTable:
        content = await exported_bytes(url, ExportRequest(table), Format.NDJSON)
        assert b"never exported" not in content
        assert b"a-secret-token" not in content
    assert b"callbacks/***" in content


async def test_formulas_are_disarmed_and_nothing_else_is_changed(
    filled: asyncpg.Connection, url: str
) -> None:
    del filled
    wanted = ExportRequest(ExportTable.MESSAGES)
    rows = read_csv(await exported_bytes(url, wanted, Format.CSV, Cells.SPREADSHEET))
    texts = {row["label"] for row in rows}
    formulas = {text for text in HARD_TEXTS if text and text[0] in "=+-@\t\r" and text != NUMBER}
    assert len(formulas) == 6
    disarmed = {f"'{text}".replace("\t=", "\t'=").replace("\r=", "\r'=") for text in formulas}
    assert texts == (set(HARD_TEXTS) - formulas) | disarmed
    assert {row["to"] for row in rows} == {NUMBER, None}
    assert Decimal(-12) in {row["price"] for row in rows}


async def test_parquet_has_types(filled: asyncpg.Connection, url: str) -> None:
    del filled
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = await exported_bytes(url, ExportRequest(ExportTable.MESSAGES), Format.PARQUET)
    file = parquet.ParquetFile(io.BytesIO(content))
    schema = file.schema_arrow
    assert schema.field("updatedAt").type == pa.timestamp("us", tz="UTC")
    assert schema.field("price").type == pa.decimal128(38, 18)
    assert schema.field("final").type == pa.bool_()
    assert schema.field("status").type == pa.string()
    encodings = {
        chunk.path_in_schema: chunk.encodings
        for chunk in map(file.metadata.row_group(0).column, range(len(schema)))
    }
    assert "RLE_DICTIONARY" in encodings["status"]
    assert "RLE_DICTIONARY" not in encodings["trackingId"]


#: What SQL calls the day of whose folder a row is.
DAYS = {
    ExportTable.MESSAGES: "updated_at",
    ExportTable.EVENTS: "nullif(occurred_at, 'epoch')",
    ExportTable.INBOUND_MESSAGES: "received_at",
    ExportTable.CAMPAIGNS: "created_at",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WriteDays = Callable[[ExportTable], Awaitable[Path]]


@pytest.fixture(name="write_days")
def _write_days(url: str, tmp_path: Path) -> WriteDays:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")

    async def written(table: ExportTable) -> Path:
        folder = DayFolders(tmp_path, COLUMNS[table], day_if_empty=date(2026, 7, 1))
        async with exported(url, ExportRequest(table), Reading(in_order_of_days=True)) as export:
            async for rows in export.chunks:
                folder.write(rows)
        folder.finish()
        return tmp_path

    return written


def names_in(folder: Path) -> set[str]:
    return set(os.listdir(folder))  # noqa: PTH208 (of which pathlib would be "blocking" here)


@pytest.mark.parametrize("table", ExportTable)
async def test_each_day_has_a_folder(
    filled: asyncpg.Connection, write_days: WriteDays, table: ExportTable
) -> None:
    dataset = pytest.importorskip("pyarrow.dataset")
    days = await write_days(table)
    told = await filled.fetch(
        f"SELECT DISTINCT ({DAYS[table]} AT TIME ZONE 'UTC')::date "  # noqa: S608
        f"FROM {table.replace('-', '_')}"
    )
    names = names_in(days)
    assert names == {f"day={day or '__HIVE_DEFAULT_PARTITION__'}" for (day,) in told}
    assert len(names) >= 2
    rows = dataset.dataset(days, partitioning="hive").to_table().to_pylist()
    of_day = COLUMNS[table].day
    for row in rows:
        assert row.pop("day") == (row[of_day] and f"{row[of_day]:%Y-%m-%d}")
    assert checksum(table, rows) == await stored_checksum(filled, table)


async def test_an_event_is_in_the_folder_of_the_day_in_the_views(
    filled: asyncpg.Connection, write_days: WriteDays
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    await filled.execute("UPDATE events SET received_at = received_at + interval '9 days'")
    days = await write_days(ExportTable.EVENTS)
    query = "SELECT day, sum(delivered) FROM bi_v1.delivery_daily GROUP BY day"
    for day, delivered in await filled.fetch(query):
        folder = days / f"day={day or '__HIVE_DEFAULT_PARTITION__'}"
        rows = parquet.read_table(folder / "part-0.parquet", partitioning=None).to_pylist()
        assert sum(row["status"] == "DELIVERED" for row in rows) == delivered


@pytest.mark.parametrize("table", ExportTable)
async def test_duckdb_reads_every_cell(
    filled: asyncpg.Connection, write_days: WriteDays, table: ExportTable
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    days = await write_days(table)
    instants = {column.name for column in COLUMNS[table].columns if column.kind is CellKind.INSTANT}
    # As numbers, because DuckDB needs pytz to give instants to Python.
    cells = [
        f'epoch_us("{name}") AS "{name}"' if name in instants else f'"{name}"'
        for name in COLUMNS[table].names
    ]
    query = f"FROM read_parquet('{days}/*/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as connection:
        told = connection.execute(f"SELECT {', '.join(cells)} {query}").fetchall()
        types = dict(row[:2] for row in connection.execute(f"DESCRIBE {query}").fetchall())
    assert {types[name] for name in instants} == {"TIMESTAMP WITH TIME ZONE"}
    assert types["day"] == "DATE"
    rows = [dict(zip(COLUMNS[table].names, row, strict=True)) for row in told]
    for row in rows:
        for name in instants:
            if row[name] is not None:
                row[name] = _EPOCH + timedelta(microseconds=row[name])
    assert checksum(table, rows) == await stored_checksum(filled, table)


@pytest.mark.parametrize("table", ExportTable)
async def test_polars_reads_every_cell(
    filled: asyncpg.Connection, write_days: WriteDays, table: ExportTable
) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    days = await write_days(table)
    frame = polars.read_parquet(f"{days}/*/*.parquet", hive_partitioning=True)
    assert set(frame.columns) == {*COLUMNS[table].names, "day"}
    assert checksum(table, frame.to_dicts()) == await stored_checksum(filled, table)


@pytest.mark.parametrize("table", ExportTable)
async def test_without_rows_a_day_gets_an_empty_file(
    write_days: WriteDays, table: ExportTable
) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    days = await write_days(table)
    assert names_in(days) == {"day=2026-07-01"}
    with duckdb.connect() as connection:
        read = connection.execute(
            f"FROM read_parquet('{days}/*/*.parquet', hive_partitioning = true)"
        )
        assert tuple(column[0] for column in read.description) == (*COLUMNS[table].names, "day")
        assert read.fetchall() == []


async def test_no_callback_waits_for_an_encoder(filled: asyncpg.Connection, url: str) -> None:
    del filled
    threads = set()

    class Encoder:
        def begin(self) -> bytes:
            return b""

        def encode(self, rows: Sequence[Row]) -> bytes:
            del rows
            threads.add(("encode", threading.get_ident()))
            return b""

        def end(self) -> bytes:
            threads.add(("end", threading.get_ident()))
            return b""

    async with Exports(url).served(ExportRequest(ExportTable.MESSAGES), Encoder()) as export:
        async for _ in export.chunks:
            pass
    assert {what for what, _ in threads} == {"encode", "end"}
    assert threading.get_ident() not in {thread for _, thread in threads}


async def _received(
    url: str, since: datetime | None, until: datetime | None = None
) -> tuple[set[str], datetime]:
    wanted = ExportRequest(ExportTable.INBOUND_MESSAGES, ExportFilter(since=since, until=until))
    async with exported(url, wanted) as export:
        ids = {row[0] async for rows in export.chunks for row in rows}
    assert export.complete_until is not None
    return ids, export.complete_until


async def test_exports_one_after_the_other_lose_no_row(
    connection: asyncpg.Connection, url: str
) -> None:
    await connection.execute("INSERT INTO inbound_messages (identity) VALUES ('before')")
    writer = await connect(url)
    async with writer.transaction():
        began_at = await writer.fetchval("SELECT now()")
        await writer.execute("INSERT INTO inbound_messages (identity) VALUES ('while it runs')")
        until = await connection.fetchval("SELECT clock_timestamp()")
        first, complete_until = await _received(url, None, until)
        assert complete_until <= began_at < until
    await writer.close()
    second, _ = await _received(url, complete_until)
    assert len(first) == 1
    assert len(first | second) == 2


async def test_an_export_is_of_one_moment(filled: asyncpg.Connection, url: str) -> None:
    await filled.execute(
        "INSERT INTO inbound_messages (identity, message) "
        "SELECT n::text::bytea, 'x' FROM generate_series(1000, 6000) AS n"
    )
    before = await stored_checksum(filled, ExportTable.INBOUND_MESSAGES)
    wanted = ExportRequest(ExportTable.INBOUND_MESSAGES)
    encoder = encoder_of(wanted.table, Format.NDJSON, Cells.EXACT)
    async with Exports(url).served(wanted, encoder) as export:
        chunks = export.chunks
        content = await anext(chunks) + await anext(chunks)
        await filled.execute("DELETE FROM inbound_messages WHERE id % 2 = 0")
        await filled.execute("UPDATE inbound_messages SET message = 'erased'")
        await filled.execute("INSERT INTO inbound_messages (identity) VALUES ('later')")
        content += b"".join([chunk async for chunk in chunks])
    assert checksum(wanted.table, read_ndjson(content)) == before
    assert await stored_checksum(filled, wanted.table) != before


async def test_only_a_few_exports_run_at_a_time(url: str) -> None:
    exports = Exports(url)
    wanted = ExportRequest(ExportTable.MESSAGES)

    def served() -> Any:  # noqa: ANN401
        return exports.served(wanted, encoder_of(wanted.table, Format.CSV, Cells.EXACT))

    assert MAX_EXPORTS == 2
    async with served(), served():
        with pytest.raises(TooManyExports) as refused:
            await served().__aenter__()
        assert refused.value.retry_after_seconds
    async with served():
        pass


async def test_a_failed_export_frees_its_slot() -> None:
    exports = Exports("postgresql://nobody@127.0.0.1:9/nothing")
    wanted = ExportRequest(ExportTable.MESSAGES)
    for _ in range(MAX_EXPORTS + 1):
        encoder = encoder_of(wanted.table, Format.CSV, Cells.EXACT)
        with pytest.raises(DatabaseUnavailable):
            await exports.served(wanted, encoder).__aenter__()


async def test_it_reads_only_and_ends_with_its_block(filled: asyncpg.Connection, url: str) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%exports'"
    async with exported(url, ExportRequest(ExportTable.MESSAGES)) as export:
        await anext(export.chunks)
        assert await filled.fetchval(query) == 1
    assert await filled.fetchval(query) == 0


async def test_a_time_limit_is_the_servers(filled: asyncpg.Connection, url: str) -> None:
    await filled.execute("ALTER TABLE messages RENAME TO messages_kept")
    await filled.execute("CREATE VIEW messages AS SELECT k.* FROM messages_kept AS k, pg_sleep(30)")
    begun = datetime.now(UTC)
    with pytest.raises(DatabaseUnavailable):
        async with exported(
            url, ExportRequest(ExportTable.MESSAGES), Reading(max_seconds=1)
        ) as export:
            await anext(export.chunks)
    assert datetime.now(UTC) - begun < timedelta(seconds=20)
