import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routee.lenient import Origin, translate_leniently
from app.routee.translate import find_documented_event, translate

CAMPAIGN = UUID(int=1)
ADDRESSES = {"/callbacks/***/status": False, "/callbacks/***/inbound": True}
ORIGIN = Origin(CAMPAIGN, to_inbound=False)
DOCUMENTED_PROGRESS = (Path(__file__).parents[1] / "payloads" / "progress.json").read_bytes()
DOCUMENTED: dict[str, Any] = json.loads(DOCUMENTED_PROGRESS)

odd_texts = st.sampled_from(
    [
        "",
        " ",
        "a",
        "é",
        "\0",
        "\ud800",
        '"',
        "\\",
        " a ",
        "\t",
        "\u00a0a",
        "0A047B46-a4dd-4ca8-b817-a6a134dd1234",
        " 0a047b46-a4dd-4ca8-b817-a6a134dd1234 ",
        "x" * 33,
        "x" * 65,
        "x" * 351,
        "x" * 1001,
        "null",
    ]
)
times = st.sampled_from(
    [
        "2026-07-05T10:28:02.996Z",
        "2026-07-05T10:28:02.996000001Z",
        "2026-07-05T10:28:02",
        "2026-07-05T10:28:02.996",
        "2026-07-05T10:28:02.996+02:00",
        "2026-07-05T10:28:60.996Z",
        "2026-07-05T24:00:00.000Z",
        "2026-07-05T10:28:02Z",
        "1783247282",
        "2026-07-05T12:28:02+02:00",
        "20260705T102802Z",
        " 2026-07-05 ",
        "1783247282996",
        "1999-01-01T00:00:00Z",
        "yesterday",
    ]
)
numbers = st.sampled_from(
    [
        "+306900000000",
        "306900000000",
        "٣٠٦٩٠٠٠٠٠٠",
        "12",
        "Routee",
        "1" * 16,
        "0030 690 0000000",
        " 306900000000",
        "tel:+306900000000",
        "+00306900000000",
        "3.0691E+11",
        " Routee ",
    ]
)
scalars = (
    odd_texts
    | times
    | numbers
    | st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(["0.0350", "1e3", "NaN", 0.1, 1e400, 12345678901234567890.12])
)
statuses = st.sampled_from(
    [
        "Seen",
        " Seen",
        "seen\t",
        "del\u0131vered",
        "delivered",
        "SENT",
        "UNSENT",
        "Paused",
        "ß",
        "queued",
    ]
)
values = st.recursive(
    scalars | statuses,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "status",
                    "updatedDate",
                    "date",
                    "reason",
                    "detailedStatus",
                    "description",
                    "other",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)
keys = st.sampled_from(
    [*DOCUMENTED, "messageId", "sentDate", "referenceTrackingId", "updatedDate", "media", "unknown"]
)
directions = st.sampled_from(["Inbound", "inbound ", "Outbound", "outbound", "Upwards"])
changes = st.builds(
    lambda changes, direction: changes | direction,
    st.dictionaries(keys, values, max_size=4),
    st.just({}) | directions.map(lambda word: {"direction": word}),
)
inner_changes = st.dictionaries(
    st.sampled_from(["name", "status", "updatedDate", "date", "reason", "other"]),
    values,
    max_size=3,
)
left_out = st.sets(keys, max_size=3)


def _body(payload: dict[str, Any], *, ensure_ascii: bool) -> bytes:
    return json.dumps(payload, ensure_ascii=ensure_ascii).encode(errors="surrogatepass")


def test_the_typed_parser_reads_the_documented_callback() -> None:
    event = find_documented_event(DOCUMENTED_PROGRESS, CAMPAIGN)
    assert event is not None
    assert translate_leniently(DOCUMENTED_PROGRESS, ORIGIN).records == (event,)


@given(changes, inner_changes, left_out, st.booleans())
def test_the_typed_and_the_lenient_parser_agree(
    changes: dict[str, Any],
    inner: dict[str, Any],
    left_out: set[str],
    ensure_ascii: bool,  # noqa: FBT001 (hypothesis passes it by position)
) -> None:
    payload = {**DOCUMENTED, "status": {**DOCUMENTED["status"], **inner}, **changes}
    payload = {key: value for key, value in payload.items() if key not in left_out}
    body = _body(payload, ensure_ascii=ensure_ascii)
    for path, to_inbound in ADDRESSES.items():
        read = translate(body, campaign_id=CAMPAIGN, path=path)
        assert repr(read) == repr(translate_leniently(body, Origin(CAMPAIGN, to_inbound)))


@pytest.mark.parametrize(
    "body",
    [
        b'{"trackingId":"a","trackingId":"b","status":{"name":"SEEN","updatedDate":"2026-07-05"}}',
        b'{"trackingId":"a","status":{"name":"SEEN","name":"SENT","updatedDate":"2026-07-05"}}',
        b'{"trackingId":"\\u0061","status":{"name":"SEEN","updatedDate":"2026-07-05"}}',
        b'{"trackingId":"a\\tb","status":{"name":"SEEN","updatedDate":"2026-07-05"}}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"},"price":1E400}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"},"price":0.1000}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"}} x',
        b'\xef\xbb\xbf{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"}}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"},"ttl":nonsense}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"},"body":"\xff"}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"},"body":{"a":[}}',
        b'{"trackingId":"a","status":{"name":"SEEN","updatedDate":"2026-07-05"},"body":"\x01"}',
    ],
)
def test_the_parsers_agree_on_bytes_that_only_look_documented(body: bytes) -> None:
    assert repr(translate(body)) == repr(translate_leniently(body, Origin(None, to_inbound=False)))
