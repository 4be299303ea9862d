"""The questions of docs/analysts.md have answers."""

import random

import asyncpg
import pytest

from app.db.ingest import append_inbound
from tests.db.bi.questions import CAMPAIGN_NAME, questions
from tests.db.bi.story import make_campaigns, store_in_batches, story
from tests.db.feed.feed_stage import reply

QUESTIONS = questions()


def test_the_five_questions_most_asked_are_there() -> None:
    assert len(QUESTIONS) == 5


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_question_of_the_page_has_an_answer(
    connection: asyncpg.Connection, question: str
) -> None:
    ours = await make_campaigns(connection)
    await connection.execute("UPDATE campaigns SET name = $1 WHERE name = 'spring'", CAMPAIGN_NAME)
    await store_in_batches(connection, story(ours, 11), random.Random(11))  # noqa: S311
    await append_inbound(connection, [reply(campaign="known")])
    rows = await connection.fetch(QUESTIONS[question])
    assert rows
    assert all(value is not None for value in list(rows[0].values())[:2])
