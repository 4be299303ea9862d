"""A migration only adds, so that the version before goes on storing callbacks meanwhile."""

import asyncio
import json
import shutil
import subprocess
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest

from app.db.schema import needed_version
from tests.promises.conftest import Look, StartService
from tests.promises.load import Sender, endless
from tests.promises.next_version import (
    Program,
    next_program,
    program_of_today,
    released_program,
)
from tests.promises.proxies import balancer, uses_both
from tests.promises.stage import SECRET, Postgres, answers

#: A revision that no migration has.
_NEXT = "9999"
_ROUNDS = 2
_BETWEEN_ITEMS = 30
_PAUSE_SECONDS = 0.1
_PER_SECOND = 200


@pytest.fixture
def before(folder: Path) -> Program:
    """The program of the last release; as long as there is none, today's."""
    found = released_program(folder / "before")
    if found is None:
        warnings.warn("No version is released yet: today's stands in for it.", NoRelease, 2)
        return program_of_today(folder / "before")
    return found


class NoRelease(UserWarning):
    """There is no released version to test with."""


@pytest.fixture
def after(folder: Path) -> Program:
    """The program of the next version."""
    return next_program(folder / "after", revision=_NEXT, below=needed_version())


@asynccontextmanager
async def _some_per_second(sender: Sender) -> AsyncIterator[None]:
    """Post some callbacks at once, ten times a second if possible, until the block ends."""
    is_over = asyncio.Event()
    source = endless("m")
    loop = asyncio.get_running_loop()

    async def _post() -> None:
        due = loop.time()
        while not is_over.is_set():
            await sender.send_all(islice(source, sender.connections))
            due += _PAUSE_SECONDS
            await asyncio.sleep(due - loop.time())

    task = asyncio.create_task(_post())
    try:
        await answers(sender, 200, items=_BETWEEN_ITEMS)
        yield
    finally:
        is_over.set()
        await task


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_last_release_is_taken_from_its_tag(folder: Path) -> None:
    repository = folder / "repository"
    for part in ("app", "migrations"):
        (repository / part).mkdir(parents=True)
        (repository / part / "version.txt").write_text("released")

    def _git(*arguments: str) -> None:
        who = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=repository, check=True)  # noqa: S603, S607

    _git("init", "--quiet")
    _git("add", ".")
    _git("commit", "--quiet", "--message=released")
    assert released_program(folder / "none", repository) is None
    _git("tag", "v0.1.0")
    (repository / "app" / "version.txt").write_text("newer")
    _git("commit", "--quiet", "--all", "--message=newer")
    assert released_program(folder / "released", repository) is not None
    assert (folder / "released" / "app" / "version.txt").read_text() == "released"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default::tests.promises.test_migrating.NoRelease")
async def test_the_version_before_stores_every_callback_while_the_schema_goes_up_and_down(
    postgres: Postgres, start_service: StartService, look: Look, before: Program, after: Program
) -> None:
    await before.run(postgres.url, "migrate")
    status = await before.run(postgres.url, "migrate", "--status", "--json")
    old = json.loads(status)["schema"]
    service = await start_service(workers=2, settings=before.settings)
    sender = service.sender(connections=4)
    async with _some_per_second(sender):
        for _ in range(_ROUNDS):
            said = await after.run(postgres.url, "migrate")
            assert f"{_NEXT} has been applied" in said
            assert await look.number("SELECT count(*) FROM messages WHERE note <> 'none'") == 0
            await answers(sender, 200, items=_BETWEEN_ITEMS)
            said = await after.run(postgres.url, "migrate", "--to", old, "--yes")
            assert f"{_NEXT} has been taken back" in said
            await answers(sender, 200, items=_BETWEEN_ITEMS)
    refused = [answer for answer in sender.answers if answer.status != 200]
    assert not refused, refused[:3]
    assert sender.acknowledged == await look.stored()
    assert await look.number("SELECT count(*) FROM quarantine") == 0
    assert await look.counts() == await look.recount_of_events()
    assert "Traceback" not in service.log.read_text()
    await before.run(postgres.url, "rebuild", "--verify")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default::tests.promises.test_migrating.NoRelease")
async def test_an_upgrade_and_a_rollback_behind_a_load_balancer_refuse_and_cut_nothing(  # noqa: PLR0913, PLR0917 (fixtures)
    postgres: Postgres,
    start_service: StartService,
    look: Look,
    folder: Path,
    before: Program,
    after: Program,
) -> None:
    await before.run(postgres.url, "migrate")
    old = json.loads(await before.run(postgres.url, "migrate", "--status", "--json"))["schema"]
    services = [await start_service(settings=before.settings, drain_seconds=2) for _ in range(2)]

    async def _replace_by(program: Program) -> None:
        """One after the other, as an orchestrator does."""
        for service in services:
            code, _ = await service.end()
            assert code == 0, service.log.read_text()
            service.settings.update(program.settings)
            await service.start()
            await uses_both(port)

    with balancer(services[0].port, services[1].port, folder) as port:
        await uses_both(port)
        sender = Sender(port, f"/callbacks/{SECRET}/status", connections=_PER_SECOND // 10)
        began = time.monotonic()
        async with _some_per_second(sender):
            await after.run(postgres.url, "migrate")
            await _replace_by(after)
            await answers(sender, 200, items=_BETWEEN_ITEMS)
            await _replace_by(before)  # which stores in the newer schema
            await answers(sender, 200, items=_BETWEEN_ITEMS)
            await after.run(postgres.url, "migrate", "--to", old, "--yes")
            await answers(sender, 200, items=_BETWEEN_ITEMS)
        seconds = time.monotonic() - began
    print(f"{len(sender.answers)} callbacks in {seconds:.0f} s")  # noqa: T201 (shown with -s)
    refused = [answer for answer in sender.answers if answer.status != 200]
    assert not refused, refused[:3]
    assert sender.acknowledged == await look.stored()
    assert await look.counts() == await look.recount_of_events()
    assert all("Traceback" not in service.log.read_text() for service in services)
