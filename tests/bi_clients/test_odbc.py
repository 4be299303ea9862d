"""As Excel, Power BI and whatever else speaks ODBC."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.bi_clients.conftest import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyodbc import Cursor

pyodbc = pytest.importorskip(
    "pyodbc", reason="needs the Debian package unixodbc", exc_type=ImportError
)

DRIVER = "PostgreSQL Unicode"

pytestmark = pytest.mark.skipif(
    DRIVER not in pyodbc.drivers(), reason="needs the Debian package odbc-postgresql"
)


@pytest.fixture
def cursor(analyst_url: str) -> "Iterator[Cursor]":
    """A session that fetches two rows at a time, as programs do that read more than fits."""
    parts = urlsplit(analyst_url)
    where = parse_qs(parts.query)
    connection = pyodbc.connect(
        f"DRIVER={{{DRIVER}}};SERVER={where['host'][0]};PORT={where['port'][0]};"
        f"DATABASE={parts.path[1:]};UID={parts.username};PWD={{of an analyst}};"
        "UseDeclareFetch=1;Fetch=2",
        autocommit=False,
    )
    yield connection.cursor()
    connection.close()


def test_the_views_are_listed_with_what_they_mean(cursor: "Cursor") -> None:
    listed = {row.table_name: row for row in cursor.tables(schema="bi_v1").fetchall()}
    assert {"campaigns", "messages", "delivery_daily", "freshness"} <= set(listed)
    assert {row.table_type for row in listed.values()} == {"VIEW"}


def test_columns_have_the_types_of_their_values(cursor: "Cursor") -> None:
    columns = {
        row.column_name: row.type_name
        for row in cursor.columns(table="messages", schema="bi_v1").fetchall()
    }
    assert columns["status"] == "text"
    assert columns["delivered_at"] == "timestamptz"
    assert columns["price"] == "numeric"
    assert columns["seconds_to_deliver"] == "float8"


def test_a_view_is_read_page_by_page(cursor: "Cursor") -> None:
    cursor.execute("SELECT message_tracking_id, status, recipient FROM bi_v1.messages ORDER BY 1")
    rows = cursor.fetchall()
    assert [(row.message_tracking_id, row.status) for row in rows] == [
        ("m1", "DELIVERED"),
        ("m2", "SEEN"),
        ("m3", "UNDELIVERED"),
    ]
    assert all(row.recipient != NUMBER for row in rows)


def test_names_in_any_script_and_parameters_arrive(cursor: "Cursor") -> None:
    cursor.execute(
        "SELECT campaign_name, messages FROM bi_v1.campaigns WHERE campaign_name = ?", "Πάσχα"
    )
    assert [tuple(row) for row in cursor.fetchall()] == [("Πάσχα", 3)]


def test_every_view_can_be_read_whole(cursor: "Cursor") -> None:
    for view in [row.table_name for row in cursor.tables(schema="bi_v1").fetchall()]:
        cursor.execute(f'SELECT * FROM "bi_v1"."{view}"')  # noqa: S608
        cursor.fetchall()
