"""Secrets that come in are shown to nobody, whichever field and spelling they come in."""

import io
import json
from collections.abc import Callable, Iterator
from uuid import UUID

import asyncpg
import pyarrow.parquet
import pytest

from app.db.bi.address import address
from app.db.bi.login import BiLogin
from app.db.bi.users import create_bi_login
from app.db.database import Database
from app.domain.api_key import Scope
from app.kit.scram import make_verifier
from app.sandbox.routee import SimulatedRoutee
from tests.api.conftest import (
    OLD_SECRET,
    ROUTEE_SECRET,
    SECRET,
    Loop,
    Service,
    new_id,
    payload,
    progress,
    reply,
    running,
    serving,
)
from tests.conftest import fresh_database

PASSWORD = "a-password-of-the-tests"


def _percent(text: str) -> str:
    return "".join(f"%{ord(one):02x}" for one in text)


def _wide(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    lambda text: f"https:\\/\\/host\\/callbacks\\/{text}\\/status",
    _percent,
    lambda text: _percent(text).replace("%", "%25").upper(),
    lambda text: f"https%253A%252F%252Fhost%252Fcallbacks%252F{text}%252F",
    lambda text: "".join(f"&#{ord(one)};" for one in text),
    lambda text: "".join(f"&#x{ord(one):X};" for one in text),
    _wide,
    "\u200b".join,
    "\0".join,
)
#: Fields that become columns.
STATUS_FIELDS = ("label", "from", "to", "country", "trackingId", "campaignTrackingId")
PROGRESS_FIELDS = ("trackingId", "name", "campaignStatus")
REPLY_FIELDS = (
    "message", "media", "filename", "label", "campaignName", "from", "to",
    "referenceTrackingId", "campaignTrackingId",
)  # fmt: skip


def campaign_progress(**changes: object) -> dict[str, object]:
    document: dict[str, object] = json.loads(payload("campaign_progress"))
    return document | {"trackingId": new_id("c")} | changes


def _posted(secrets: list[str]) -> Iterator[tuple[dict[str, object], str]]:
    """Callbacks that have a secret in one field, and their kind."""
    for secret in secrets:
        for spell in SPELLINGS:
            spelt = spell(secret)
            for field in STATUS_FIELDS:
                yield progress(**{field: f"{spelt} of {new_id()}"}), "status"
            reason = {"detailedStatus": f"x {spelt}", "description": f"see {spelt} there"}
            word = {"name": spelt, "reason": reason, "updatedDate": "2026-03-01T00:00:00Z"}
            yield progress(status=word), "status"
            yield progress(status={**word, "name": "FAILED"}), "status"
            yield progress(body={"text": spelt}, inboundUrl=spelt, sessionId=spelt), "status"
            for field in PROGRESS_FIELDS:
                yield campaign_progress(**{field: f"{spelt} of {new_id()}"}), "status"
            yield campaign_progress(messageStatuses={spelt: 3}), "status"
            for field in REPLY_FIELDS:
                yield reply(**{field: f"{spelt} of {new_id()}"}), "inbound"


@pytest.fixture(scope="module")
def told(loop: Loop, server_url: str, routee: SimulatedRoutee) -> Iterator[tuple[Service, str]]:
    """A service that all of it was posted to, and a token of a campaign of its own."""
    with (
        fresh_database(server_url) as url,
        serving(loop, routee.app) as routee_url,
        running(loop, url, routee_api_url=routee_url, routee_auth_url=routee_url) as service,
    ):
        _, token = service.add_campaign()
        for body, kind in _posted([SECRET, OLD_SECRET, token, ROUTEE_SECRET]):
            assert service.post(body, kind=kind).status_code == 200  # an id may be too long
        yield service, token


@pytest.fixture
def secrets(told: tuple[Service, str]) -> list[str]:
    _, token = told
    values = [SECRET, OLD_SECRET, token, ROUTEE_SECRET]
    return [spell(value).lower() for value in values for spell in SPELLINGS]


def _assert_none(secrets: list[str], text: str) -> None:
    lowered = text.lower()
    # As JSON spells backslashes and letters that are not ASCII.
    spelt = [*secrets, *(json.dumps(secret)[1:-1].lower() for secret in secrets)]
    assert [secret for secret in spelt if secret in lowered] == []


def _columns(service: Service) -> str:
    """All texts in all tables but the payloads and bodies, which are kept exact."""
    tables = service.sql(
        "SELECT table_name, string_agg(quote_ident(column_name), ', ') FROM"
        " information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name)"
        " WHERE table_schema = 'receiver' AND table_type = 'BASE TABLE' AND data_type <> 'bytea'"
        " GROUP BY table_name"
    )
    rows = [service.sql(f"SELECT {columns} FROM {table}") for table, columns in tables]  # noqa: S608
    return "\n".join(str(dict(row)) for each in rows for row in each)


def test_no_secret_reaches_a_column(told: tuple[Service, str], secrets: list[str]) -> None:
    service, _ = told
    columns = _columns(service)
    assert columns.count("***") > 100
    _assert_none(secrets, columns)


@pytest.mark.slow
@pytest.mark.parametrize("scope", list(Scope))
def test_no_caller_reads_a_secret_of_a_callback(
    told: tuple[Service, str], secrets: list[str], scope: Scope
) -> None:
    service, _ = told
    messages = [row[0] for row in service.sql("SELECT message_tracking_id FROM messages")]
    replies = [row[0] for row in service.sql("SELECT id FROM inbound_messages")]
    campaigns = [
        row[0] for row in service.sql("SELECT campaign_tracking_id FROM campaign_progress")
    ]
    assert len(messages) > 100
    assert len(campaigns) > 100
    paths = [
        "campaigns?limit=1000",
        "messages?label=x&limit=1000",
        "messages?updatedAfter=2026-01-01T00:00:00Z&limit=1000",
        "inbound-messages?limit=1000",
        "events?after=beginning&limit=1000",
        *(f"exports/{table}?format={form}" for table in ("messages", "events", "inbound-messages",
          "campaigns") for form in ("csv", "ndjson")),
        *(f"messages/{_percent(one)}" for one in messages),
        *(f"messages/{_percent(one)}/events" for one in messages),
        *(f"status/{_percent(one)}" for one in messages),
        *(f"inbound-messages/{one}" for one in replies),
        *(f"campaigns/{_percent(one)}" for one in campaigns),
        *(f"campaigns/{_percent(one)}/progress" for one in campaigns),
    ]  # fmt: skip
    if scope is not Scope.ADMIN:  # who reads exact payloads
        paths += [f"messages/{_percent(one)}/events?raw=true" for one in messages]
        paths += [f"campaigns/{_percent(one)}/progress?raw=true" for one in campaigns]
    answers = [service.get(f"/v1/{path}", scope) for path in paths]
    if scope in {Scope.READ, Scope.ADMIN}:
        assert sum(answer.status_code == 200 for answer in answers) > 300
    _assert_none(secrets, "\n".join(answer.text for answer in answers))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32-be"])
def test_a_payload_shows_no_secret_in_whatever_encoding_it_came(
    service: Service, encoding: str
) -> None:
    document = progress(inboundUrl=f"https://host/callbacks/{SECRET}/inbound")
    service.stored(json.dumps(document).encode(encoding))
    (event,) = service.history(document["trackingId"], raw="true")
    readable = event["raw"].replace("\0", "").lower()
    assert document["campaignTrackingId"] in readable
    assert SECRET.lower() not in readable
    assert "***" in readable


def test_an_admin_reads_payloads_exactly(told: tuple[Service, str]) -> None:
    service, token = told
    document = progress(label=f"see {token}", inboundUrl=f"https://host/callbacks/{SECRET}/inbound")
    service.stored(document)
    path = f"/v1/messages/{document['trackingId']}/events"
    (exact,) = service.read(path, Scope.ADMIN, raw=True)["items"]
    (masked,) = service.read(path, Scope.READ, raw=True)["items"]
    assert json.loads(exact["raw"]) == document
    assert json.loads(masked["raw"]) == document | {
        "label": "see ***",
        "inboundUrl": "https://host/callbacks/***/inbound",
    }


def test_no_parquet_file_has_a_secret(told: tuple[Service, str], secrets: list[str]) -> None:
    service, _ = told
    for table in ("messages", "events", "inbound-messages", "campaigns"):
        answer = service.get(f"/v1/exports/{table}", Scope.ADMIN, format="parquet")
        assert answer.status_code == 200
        rows = pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()
        _assert_none(secrets, "\n".join(map(str, rows)))


@pytest.mark.parametrize("pii", [True, False])
def test_no_analyst_reads_a_secret(
    told: tuple[Service, str], secrets: list[str], *, pii: bool
) -> None:
    service, _ = told
    name = f"analyst_{new_id('x')}".replace("-", "_")

    async def read() -> str:
        database = Database(service.database_url, name="tests", pool_items=1)
        login = BiLogin(name, make_verifier(PASSWORD), pii, 300, 10)
        made = await create_bi_login(database, login)
        await database.close()
        where = address(service.database_url, user=name, password=PASSWORD, database=made.database)
        connection = await asyncpg.connect(where)
        try:
            views = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'v'"
                " AND relnamespace = 'bi_v1'::regnamespace"
            )
            assert len(views) > 5
            texts = [
                str(dict(row))
                for view in views
                for row in await connection.fetch(f"SELECT * FROM bi_v1.{view[0]}")  # noqa: S608
            ]
        finally:
            await connection.close()
        return "\n".join(texts)

    found = service.loop.run(read())
    assert "***" in found
    _assert_none(secrets, found)


def test_a_launch_with_a_secret_is_refused_and_no_problem_repeats_it(
    told: tuple[Service, str], secrets: list[str]
) -> None:
    service, token = told
    for value in (SECRET, token):
        for spell in SPELLINGS:
            answer = service.launch(label=f"see {spell(value)}")
            assert answer.status_code == 422
            assert [fault["field"] for fault in answer.json()["errors"]] == ["label"]
            for odd in (
                service.launch(body={"text": spell(value)}),
                service.launch(campaignName=spell(value)),
                service.launch(**{spell(value): 1}),
                service.get(f"/v1/messages/{_percent(spell(value))}"),
                service.get(f"/v1/campaigns/{_percent(spell(value))}"),
                service.get("/v1/campaigns", limit=spell(value)),
                service.get("/v1/events", after=spell(value)),
            ):
                assert odd.status_code >= 400
                _assert_none(secrets, odd.text)


def test_routees_answers_are_stored_without_tokens(told: tuple[Service, str]) -> None:
    service, _ = told
    campaign = service.launched(label=new_id())
    token = service.tokens.for_campaign(UUID(campaign["id"]))
    ((answer,),) = service.sql("SELECT answer FROM campaigns WHERE id = $1", UUID(campaign["id"]))
    assert token.encode() not in answer
    assert b"/callbacks/***/inbound" in answer
