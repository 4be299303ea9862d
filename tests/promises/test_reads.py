"""Reads cannot delay callbacks: all of them at their limits, by many clients, all the time."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.domain.api_key import Scope
from tests.promises.conftest import Look, StartService
from tests.promises.load import PATIENCE_SECONDS, endless
from tests.promises.readers import NAMES, NO_ANSWER, fill
from tests.promises.stage import Postgres, made_key, posting

#: For each read.
CLIENTS = 2
LEAST_SECONDS = 20
#: On a busy machine the longest reads take long, as callbacks come first.
MOST_SECONDS = 240


@asynccontextmanager
async def _readers(url: str, key: str) -> AsyncIterator[asyncio.StreamReader]:
    """The reports of a process that reads until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.promises.readers", url, str(CLIENTS)),
        env={**os.environ, "READERS_KEY": key},
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    try:
        assert process.stdout is not None
        yield process.stdout
        assert process.returncode is None, "the readers have failed"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _until_each_was_answered(reports: asyncio.StreamReader) -> set[str]:
    """Wait until each read was answered at least once; gives the statuses of all answers."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        counts: dict[str, dict[str, int]] = json.loads(await reports.readline())
        seconds = loop.time() - began
        unanswered = [name for name in NAMES if not counts[name]]
        if seconds > LEAST_SECONDS and not unanswered:
            return {status for counted in counts.values() for status in counted}
        assert seconds < MOST_SECONDS, unanswered


@pytest.mark.slow
async def test_no_callback_is_late_or_refused_while_all_reads_are_at_their_limits(
    start_service: StartService, postgres: Postgres, look: Look
) -> None:
    await fill(await look.connection())
    service = await start_service()
    sender = service.sender(connections=8)
    async with (
        posting(sender, endless("posted")),
        _readers(service.url, await made_key(postgres.url, *Scope)) as reports,
    ):
        statuses = await _until_each_was_answered(reports)
    # 422: an empty launch; 503: two exports at once, and launching is not configured.
    assert statuses <= {"200", "422", "503", str(NO_ANSWER)}, service.log.read_text()[-20_000:]
    assert sender.statuses == {200}, Counter(answer.status for answer in sender.answers)
    assert max(answer.seconds for answer in sender.answers) < PATIENCE_SECONDS
