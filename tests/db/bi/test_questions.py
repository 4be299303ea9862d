"""The questions of docs/analysts.md have answers, the same with numbers masked and shown."""

import random
from collections import Counter

import asyncpg
import pytest

from app.db.ingest import append_inbound
from tests.db.bi.questions import CAMPAIGN_NAME, questions
from tests.db.bi.stage import analyst, asking
from tests.db.bi.story import make_campaigns, store_in_batches, story
from tests.db.feed.feed_stage import reply

QUESTIONS = questions()
_REQUEST = b'{"to": ["+306999999999"], "body": {"text": "Sale", "imageURL": "https://a.b/c"}}'


def test_the_questions_most_asked_are_there() -> None:
    assert len(QUESTIONS) == 19


def _counts(rows: list[asyncpg.Record]) -> Counter[tuple[object, ...]]:
    """*rows* without their texts, in which numbers are masked."""
    return Counter(tuple(it for it in row.values() if not isinstance(it, str)) for row in rows)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_of_the_page_has_an_answer(
    url: str, connection: asyncpg.Connection, question: str
) -> None:
    ours = await make_campaigns(connection)
    await connection.execute(
        "UPDATE campaigns SET name = $1, request = $2 WHERE name = 'spring'",
        CAMPAIGN_NAME,
        _REQUEST,
    )
    await store_in_batches(connection, story(ours, 11), random.Random(11))  # noqa: S311
    await append_inbound(connection, [reply(campaign="known")])
    answers = []
    for pii in (False, True):
        async with analyst(url, pii=pii) as own_url, asking(own_url) as session:
            answers.append(await session.fetch(QUESTIONS[question]))
    masked, whole = answers
    assert masked
    assert all(value is not None for value in list(masked[0].values())[:2])
    assert _counts(masked) == _counts(whole)
