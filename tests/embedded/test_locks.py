import asyncio
from pathlib import Path

import pytest

from app.embedded.locks import FileLock, alone, is_held
from app.embedded.progress import Progress
from app.errors import ConfigurationError


def ignore(_message: str) -> None:
    pass


async def test_whoever_waits_for_the_lock_is_told_and_does_not_block_the_loop(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    messages: list[str] = []

    async def wait() -> None:
        async with alone(path, Progress(messages.append)):
            pass

    async with alone(path, Progress(ignore)):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(2.3)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 2)

    assert messages == ["Another process is starting or stopping PostgreSQL (2 s)"]


async def test_whoever_stops_waiting_never_gets_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"

    async def wait() -> None:
        async with alone(path, Progress(ignore)):
            pass

    async with alone(path, Progress(ignore)):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert not is_held(path)


def test_users_share_and_the_last_one_gets_it_alone(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")

    assert first.try_shared()
    assert second.try_shared()
    assert not first.try_exclusive()
    first.close()
    assert second.try_exclusive()
    second.close()


def test_a_lock_file_is_not_followed_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "target")

    with pytest.raises(ConfigurationError, match="RECEIVER_DATA_DIR must belong to"):
        FileLock(tmp_path / "lock")

    assert not (tmp_path / "target").exists()
