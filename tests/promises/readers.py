"""
A process that keeps every read endpoint at its limits busy.

    python -m tests.promises.readers http://127.0.0.1:8000 3

The key is in the environment, as READERS_KEY. Each second it prints how often each read was
answered with each status, as a line of JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter

import asyncpg
import httpx

#: More rows than any limit.
_ROWS = 1100
_RECIPIENTS = 1000
_FILL = f"""
INSERT INTO campaigns (id, tracking_id, submission, name, request, answer, expected_messages)
SELECT uuidv7(), 'c-' || n, 'launched', 'name ' || n, given.request, given.answer, {_RECIPIENTS}
FROM generate_series(1, {_ROWS}) n, (SELECT
    convert_to(jsonb_build_object('to', jsonb_agg('+30691' || 1000000 + r))::text, 'UTF8') request,
    convert_to(jsonb_build_object('viberAnalysis', jsonb_build_object('recipientsPerCountry',
        jsonb_object_agg('+30691' || 1000000 + r, 'GR')))::text, 'UTF8') answer
    FROM generate_series(1, {_RECIPIENTS}) r) given;

INSERT INTO campaign_counts
SELECT 'c-' || n, s, 1 FROM generate_series(1, {_ROWS}) n, unnest(array['SENT', 'SEEN']) s;

INSERT INTO messages
    (message_tracking_id, campaign_tracking_id, recipient, label, status, status_key,
     provider_status, status_rank, status_at, first_occurred_at, last_occurred_at)
SELECT 'm-' || n, 'c-1', '+306955500001', 'label', 'SEEN', 'SEEN', 'SEEN', 5, now(),
    '2026-03-01Z', '2026-03-01T01:00Z'
FROM generate_series(1, {10 * _ROWS}) n;

INSERT INTO events (message_tracking_id, status_key, occurred_at, source, provider_status)
SELECT 'm-' || n, 'SEEN', '2026-03-01Z', 0, 'SEEN' FROM generate_series(2, {_ROWS}) n;
INSERT INTO events (message_tracking_id, status_key, occurred_at, source, provider_status, payload)
SELECT 'm-1', 'SEEN', '2026-03-01Z'::timestamptz + n * interval '1 second', 0, 'SEEN',
    convert_to(repeat('x', 1000), 'UTF8')
FROM generate_series(1, 3000) n;

INSERT INTO inbound_messages (identity, sender, reference_tracking_id, message)
SELECT n::text::bytea, '+306955500001', 'm-' || n, repeat('text ', 100)
FROM generate_series(1, {5 * _ROWS}) n;
"""  # noqa: S608 (made of constants)

_READS = (
    "/v1/campaigns?limit=1000",
    "/v1/campaigns?limit=100&fields=*,to,contacts,groups,body,viberAnalysis",
    "/v1/campaigns/c-1",
    "/v1/status/c-1",
    "/v1/campaigns/c-1/messages?limit=1000",
    "/v1/campaigns/c-2/messages?limit=1000",
    "/v1/messages?limit=1000",
    "/v1/messages?limit=1000&status=FAILED",
    "/v1/messages?limit=1000&to=306955500001",
    "/v1/messages?limit=1000&updatedAfter={an_hour_ago}",
    "/v1/messages/m-1",
    "/v1/messages/m-1/events?limit=1000",
    "/v1/messages/m-1/events?limit=1000&raw=true",
    "/v1/inbound-messages?limit=1000",
    "/v1/inbound-messages?limit=1000&campaignTrackingId=c-1",
    "/v1/inbound-messages?limit=1000&from=306955500001",
    "/v1/events?limit=1000",
    "/v1/events?limit=1000&campaignTrackingId=c-9",
    "/v1/events?limit=1000&after=now&wait=1",
    "/v1/exports/messages?format=ndjson",
    "/v1/exports/campaigns",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
)
_IDS = [f"m-{n}" for n in range(1, 1001)]
_LARGEST_BYTES = 1_048_576
#: Calls with a body, two of them of the largest size.
_POSTS = (
    ("/v1/messages/lookup", json.dumps({"trackingIds": _IDS}).encode()),
    ("/v1/messages/lookup", b'{"trackingIds":["x"]}'.ljust(_LARGEST_BYTES)),
    ("/v1/campaigns", json.dumps({"to": ["+3069"] * 100_000}).encode()),
)
NAMES = (*_READS, *(f"{path} with {len(body)} bytes" for path, body in _POSTS))
_AFTER_REFUSAL_SECONDS = 0.2
#: In place of a status: the connection ended, as when an idle one is closed in the same moment.
NO_ANSWER = 0

Counts = dict[str, Counter[int]]


async def fill(connection: asyncpg.Connection) -> None:
    """Store what the readers read."""
    await connection.execute("SET search_path = receiver")
    await connection.execute(_FILL)
    await connection.execute("VACUUM ANALYZE")


async def _call(
    client: httpx.AsyncClient, counts: Counter[int], path: str, body: bytes | None
) -> None:
    method = "GET" if body is None else "POST"
    while True:
        try:
            async with client.stream(method, path, content=body) as answer:
                async for _ in answer.aiter_raw():
                    pass
        except httpx.TransportError:
            counts[NO_ANSWER] += 1
        else:
            counts[answer.status_code] += 1
            if answer.is_success:
                continue
        await asyncio.sleep(_AFTER_REFUSAL_SECONDS)


async def _report(counts: Counts) -> None:
    while True:
        print(json.dumps(counts), flush=True)  # noqa: T201 (for the parent process)
        await asyncio.sleep(1)


async def _main(url: str, clients: int, key: str) -> None:
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    calls: tuple[tuple[str, bytes | None], ...] = (*((path, None) for path in _READS), *_POSTS)
    counts: Counts = {name: Counter() for name in NAMES}
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(
            base_url=url, headers=headers, timeout=300, limits=limits, trust_env=False
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_report(counts))
        for _ in range(clients):
            for name, (path, body) in zip(NAMES, calls, strict=True):
                target = path.format(an_hour_ago=hour_ago)
                group.create_task(_call(client, counts[name], target, body))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), os.environ["READERS_KEY"]))
