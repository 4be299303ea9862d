"""A status is added in one place: the table of statuses in `app/domain/status.py`."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.promises.load import callback
from tests.promises.seen_statuses import CAMPAIGN, MESSAGE, Seen, rebuild, seen, store

_ROOT = Path(__file__).parents[2]
_WORDS = ["QUEUED", "READ", "SENT", "SEEN", "DELIVERED"]


@pytest.fixture
def code_with_read(tmp_path: Path) -> Path:
    """A copy of this code whose table of statuses has `READ`, with a rank above that of SEEN."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_ROOT / "app", tmp_path / "app", ignore=ignored)
    for name in ("migrations", "tests"):
        (tmp_path / name).symlink_to(_ROOT / name)
    table = tmp_path / "app/domain/status.py"
    text = table.read_text()
    for line, added in (
        ('    SEEN = "SEEN"\n', '    READ = "READ"\n'),
        ("    Status.SEEN: 5,\n", "    Status.READ: 6,\n"),
    ):
        assert text.count(line) == 1
        text = text.replace(line, line + added)
    table.write_text(text)
    return tmp_path


async def _seen_by(code: Path, url: str, *options: str) -> Seen:
    command = [sys.executable, "-m", "tests.promises.seen_statuses", url, *options]
    run = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=code,
        env={"PYTHONPATH": str(code), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    answer = Seen(*json.loads(run.stdout))
    return answer._replace(
        history=[(status, changed) for status, changed in answer.history],
        feed=[(status, changed) for status, changed in answer.feed],
    )


@pytest.mark.slow
async def test_an_added_status_is_the_same_in_events_history_feed_views_and_counts(
    url: str, connection: asyncpg.Connection, code_with_read: Path
) -> None:
    days = {"QUEUED": 0, "SENT": 1, "DELIVERED": 2, "SEEN": 3, "READ": 4}
    bodies = [callback(MESSAGE, word, campaign=CAMPAIGN, days=days[word]).body for word in _WORDS]
    await store(url, bodies)
    before = await seen(url, connection)
    as_unknown = ["UNKNOWN" if word == "READ" else word for word in _WORDS]
    assert [status for status, _ in before.history] == as_unknown
    assert before.analysts == as_unknown
    assert before.message == "SEEN"
    assert before.counts == {"SEEN": 1}
    await rebuild(url, connection)
    assert await seen(url, connection) == before

    # The stored events are of the new status at once: their rank is stored nowhere.
    events = [(word, word in {"QUEUED", "READ"}) for word in _WORDS]
    added = await _seen_by(code_with_read, url)
    assert added.history == events
    assert added.feed == events
    assert added.analysts == _WORDS
    assert added.message == "SEEN"

    rebuilt = await _seen_by(code_with_read, url, "rebuild")
    assert rebuilt == added._replace(
        message="READ",
        rank=6,
        message_in_feed=["READ"] * len(_WORDS),
        counts={"READ": 1},
    )
    assert rebuilt.events == len(_WORDS)
