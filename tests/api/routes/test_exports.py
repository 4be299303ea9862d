"""Exports over HTTP: who may have them, that they are whole, and what ends them."""

import io
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.api import export_answer
from app.domain.api_key import Scope
from tests.api.conftest import Loop, Service, progress, reply, running, status
from tests.conftest import fresh_database
from tests.services.exports.export_stage import read_csv, read_ndjson

_FOR_A_REQUEST = timedelta(seconds=10)
TABLES = ("messages", "events", "inbound-messages", "campaigns")
_EXPORTING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%exports' AND state"
)


@pytest.fixture(scope="module")
def exporting(loop: Loop, server_url: str) -> Iterator[Service]:
    """A service with one campaign of three messages, and replies."""
    with fresh_database(server_url) as url, running(loop, url) as service:
        for number in range(3):
            document = progress(campaignTrackingId="c-1", status=status("SENT"))
            service.stored(document)
            service.stored(document | {"status": status("SEEN", "2026-07-05T10:28:46.996Z")})
            service.stored(reply(referenceTrackingId=document["trackingId"], message=f"={number}"))
        service.stored(progress(campaignTrackingId="c-2"))
        yield service


@pytest.fixture
def crowded(loop: Loop, url: str) -> Iterator[Service]:
    """A service with more replies than fit into what lies between it and a client."""
    with running(loop, url) as service:
        service.sql(
            "INSERT INTO inbound_messages (identity, message) "
            "SELECT n::text::bytea, repeat('x', 1000) FROM generate_series(1, 40000) AS n"
        )
        yield service


def export(service: Service, table: str, **parameters: Any) -> httpx.Response:  # noqa: ANN401
    answer = service.get(f"/v1/exports/{table}", Scope.ADMIN, **parameters)
    assert answer.status_code == 200, answer.text
    return answer


def listed(service: Service, table: str) -> list[dict[str, Any]]:
    if table == "events":
        return [
            item for item in service.read("/v1/events", wait=5)["items"] if "status" in item["type"]
        ]
    if table == "messages":
        items: list[dict[str, Any]] = [
            item
            for campaign in ("c-1", "c-2")
            for item in service.read("/v1/messages", campaignTrackingId=campaign)["items"]
        ]
        return items
    query = "?fields=*,to,contacts,groups,body,viberAnalysis" if table == "campaigns" else ""
    found: list[dict[str, Any]] = service.read(f"/v1/{table}{query}")["items"]
    return found


def test_campaigns_have_their_newest_progress(exporting: Service) -> None:
    at = {"updatedDate": "2026-03-01T10:00:00.5Z"}
    report = {"trackingId": "c-9", "campaignStatus": "Running", "messageStatuses": {"Queued": 1}}
    exporting.stored([report, report | {"campaignStatus": "Finished"}, report | at])
    rows = read_ndjson(export(exporting, "campaigns", format="ndjson").content)
    (shown,) = [row["progress"] for row in rows if row["trackingId"] == "c-9"]
    assert shown == exporting.read("/v1/campaigns/c-9")["progress"]
    assert shown["campaignStatus"] == "Finished"


@pytest.mark.parametrize("table", ["messages", "inbound-messages", "campaigns"])
def test_the_rows_are_those_of_the_list(exporting: Service, table: str) -> None:
    content = export(exporting, table, format="ndjson").content
    rows = [json.loads(line) for line in content.splitlines()]
    for row in rows:
        row.pop("recordedAt", None)
    key = "id" if table != "messages" else "trackingId"
    assert sorted(rows, key=lambda row: row[key]) == sorted(
        listed(exporting, table), key=lambda row: row[key]
    )


def test_the_events_are_those_of_the_feed(exporting: Service) -> None:
    rows = read_ndjson(export(exporting, "events", format="ndjson").content)
    told = {item["id"]: item for item in listed(exporting, "events")}
    assert len(rows) == 7
    for row in rows:
        item = told[row["id"]]
        assert (row["trackingId"], row["source"]) == (item["trackingId"], item["source"])
        assert row["campaignTrackingId"] == item["campaignTrackingId"]
        for name in ("status", "providerStatus", "detailedStatus", "description", "to"):
            assert row[name] == item["data"][name]


def test_csv_is_the_default_and_disarms_formulas(exporting: Service) -> None:
    answer = export(exporting, "inbound-messages")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].startswith(
        'attachment; filename="inbound-messages-20'
    )
    assert answer.headers["content-disposition"].endswith('Z.csv"')
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["cache-control"] == "no-store"
    assert {row["message"] for row in read_csv(answer.content)} == {"'=0", "'=1", "'=2"}
    exact = export(exporting, "inbound-messages", cells="exact")
    assert {row["message"] for row in read_csv(exact.content)} == {"=0", "=1", "=2"}


def test_filters_reach_the_rows(exporting: Service) -> None:
    (row,) = read_csv(export(exporting, "messages", campaignTrackingId="c-2").content)
    assert row["campaignTrackingId"] == "c-2"
    assert not read_csv(export(exporting, "events", until="2020-01-01T00:00:00Z").content)
    assert len(read_csv(export(exporting, "events", since="2020-01-01T00:00:00Z").content)) == 7


def test_the_answer_says_up_to_when_it_is_complete(exporting: Service) -> None:
    now = exporting.sql("SELECT now()")[0][0]
    until = now - timedelta(days=1)
    answer = export(exporting, "events", until=until.isoformat())
    assert datetime.fromisoformat(answer.headers["export-complete-until"]) == until
    told = export(exporting, "events", until=now.isoformat()).headers["export-complete-until"]
    assert told.endswith("Z")
    assert timedelta(minutes=1) <= now - datetime.fromisoformat(told) + _FOR_A_REQUEST
    again = export(exporting, "events", since=told)
    assert len(read_csv(again.content)) == 7


def test_parquet_is_one_file(exporting: Service) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    answer = export(exporting, "events", format="parquet")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert parquet.read_table(io.BytesIO(answer.content)).num_rows == 7


def test_parquet_without_pyarrow_is_refused(
    exporting: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = exporting.get("/v1/exports/events", Scope.ADMIN, format="parquet")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "format"
    assert "pip install 'routee-receiver[parquet]'" in error["message"]


@pytest.mark.parametrize("table", TABLES)
def test_only_an_admin_may_export(exporting: Service, table: str) -> None:
    for scope in (Scope.READ, Scope.CAMPAIGNS):
        assert exporting.get(f"/v1/exports/{table}", scope).status_code == 403


def _begun(service: Service, table: str = "inbound-messages") -> httpx.Response:
    # Compressed, what is to fill the buffers of the connection would not.
    headers = service.bearer(Scope.ADMIN) | {"Accept-Encoding": "identity"}
    request = service.client.build_request("GET", f"/v1/exports/{table}", headers=headers)
    return service.client.send(request, stream=True)


def _under_way(service: Service) -> int:
    count: int = service.sql(f"{_EXPORTING} IS NOT NULL")[0][0]
    return count


def _ended(service: Service) -> bool:
    deadline = time.monotonic() + 10
    while _under_way(service) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _under_way(service)


def test_a_client_that_leaves_ends_the_query(crowded: Service) -> None:
    answer = _begun(crowded)
    chunks = answer.iter_bytes()
    next(chunks)
    assert _under_way(crowded) == 1
    answer.close()
    assert _ended(crowded)


def test_a_client_that_leaves_a_query_without_rows_ends_it(loop: Loop, url: str) -> None:
    with running(loop, url) as service:
        service.sql("ALTER TABLE inbound_messages RENAME TO kept")
        service.sql("CREATE VIEW inbound_messages AS SELECT k.* FROM kept AS k, pg_sleep(300)")
        service.sql("INSERT INTO kept (identity) VALUES ('x')")
        answer = _begun(service)
        chunks = answer.iter_bytes()
        next(chunks)  # the names of the columns
        assert service.sql(f"{_EXPORTING} = 'active'")[0][0] == 1
        answer.close()
        assert _ended(service)


def test_a_client_that_reads_nothing_is_disconnected(
    crowded: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_answer, "_SEND_SECONDS", 0.5)
    answer = _begun(crowded)
    assert _under_way(crowded) == 1
    assert _ended(crowded)
    with pytest.raises(httpx.RemoteProtocolError):
        answer.read()
    answer.close()


def test_a_third_export_is_refused_with_retry_after(crowded: Service) -> None:
    first, second = _begun(crowded), _begun(crowded)
    assert (first.status_code, second.status_code) == (200, 200)
    third = crowded.get("/v1/exports/messages", Scope.ADMIN)
    assert third.status_code == 503
    assert third.json()["type"] == "urn:routee-receiver:problem:too-many-exports"
    assert int(third.headers["retry-after"]) > 0
    first.close()
    second.close()
    assert _ended(crowded)
    assert crowded.get("/v1/exports/messages", Scope.ADMIN).status_code == 200


def test_polls_are_answered_meanwhile(crowded: Service) -> None:
    exports = [_begun(crowded), _begun(crowded)]
    document = progress()
    crowded.stored(document)
    assert crowded.message(document["trackingId"])["status"] == "DELIVERED"
    for answer in exports:
        answer.close()


def test_an_export_that_breaks_off_does_not_look_complete(crowded: Service) -> None:
    answer = _begun(crowded)
    chunks = answer.iter_bytes()
    next(chunks)
    crowded.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE '%exports'"
    )
    with pytest.raises(httpx.RemoteProtocolError):
        list(chunks)
    answer.close()


def test_a_database_that_is_away_is_503(loop: Loop, url: str) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    with running(loop, url, database_read_url=nowhere) as service:
        answer = service.get("/v1/exports/messages", Scope.ADMIN)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:routee-receiver:problem:database-unavailable"
