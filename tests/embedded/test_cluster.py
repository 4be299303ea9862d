import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.cluster import shared_buffers
from app.errors import ConfigurationError
from tests.embedded.look import ask, log_of, names_in, runs, sockets_of
from tests.embedded.user import User

StartUser = Callable[[], User]

DURABLE = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "autovacuum")


def unfinished_in(data_dir: Path) -> list[str]:
    return [name for name in names_in(data_dir) if name.startswith("postgres.new-")]


async def test_a_new_cluster_is_durable_and_the_same_everywhere(empty_dir: Path) -> None:
    async with EmbeddedPostgres(empty_dir) as url:
        assert {await ask(url, f"SHOW {name}") for name in DURABLE} == {"on"}
        assert await ask(url, "SHOW timezone") == "UTC"
        assert await ask(url, "SHOW server_encoding") == "UTF8"
        assert await ask(url, "SHOW max_connections") == "200"
        assert await ask(url, "SELECT 'Ä' > 'Z' AND upper('ä') = 'Ä'") is True


async def test_no_password_is_left_where_initdb_read_it(empty_dir: Path) -> None:
    async with EmbeddedPostgres(empty_dir) as url:
        names = names_in(await sockets_of(url))

        assert names == {".s.PGSQL.5432", ".s.PGSQL.5432.lock"}
        assert len((empty_dir / "postgres.password").read_text().strip()) == 43


async def test_a_killed_initdb_is_done_again(empty_dir: Path, start_user: StartUser) -> None:
    user = start_user()
    while not unfinished_in(empty_dir):  # noqa: ASYNC110 (another process makes it)
        await asyncio.sleep(0.001)
    user.kill()

    async with EmbeddedPostgres(empty_dir) as url:
        assert await ask(url, "SELECT 1") == 1
    assert unfinished_in(empty_dir) == []


async def test_a_cancelled_initdb_leaves_no_process_behind(empty_dir: Path) -> None:
    start = asyncio.create_task(EmbeddedPostgres(empty_dir).acquire())
    while not unfinished_in(empty_dir):  # noqa: ASYNC110 (another process makes it)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.1)

    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    assert not runs(empty_dir)


async def test_an_empty_cluster_folder_is_filled(empty_dir: Path) -> None:
    (empty_dir / "postgres").mkdir()

    async with EmbeddedPostgres(empty_dir) as url:
        assert await ask(url, "SELECT 1") == 1


async def test_a_folder_with_other_contents_is_refused_and_kept(empty_dir: Path) -> None:
    (empty_dir / "postgres").mkdir()
    (empty_dir / "postgres" / "diary.txt").write_text("monday")

    with pytest.raises(ConfigurationError, match="neither empty nor a PostgreSQL"):
        await EmbeddedPostgres(empty_dir).acquire()

    assert (empty_dir / "postgres" / "diary.txt").read_text() == "monday"
    assert unfinished_in(empty_dir) == []


async def test_a_symlink_instead_of_the_cluster_is_refused(empty_dir: Path) -> None:
    (empty_dir / "postgres").symlink_to("elsewhere")

    with pytest.raises(ConfigurationError, match="must not be a symlink"):
        await EmbeddedPostgres(empty_dir).acquire()


async def test_another_major_version_is_refused(data_dir: Path, cluster: Path) -> None:
    (cluster / "PG_VERSION").write_text("17\n")

    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 17, but 18\..* is installed"):
        await EmbeddedPostgres(data_dir).acquire()

    assert not runs(data_dir)


async def test_a_path_longer_than_a_socket_address_works(deep_dir: Path) -> None:
    assert len(str(deep_dir)) > 200

    async with EmbeddedPostgres(deep_dir) as url:
        assert await ask(url, "SELECT 1") == 1


async def test_a_long_log_is_rotated_when_the_server_starts(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    log.write_text("x" * 10_000_001)

    async with EmbeddedPostgres(data_dir):
        pass

    assert "x" not in log_of(data_dir)[:20]
    assert (data_dir / "postgres.log.old").stat().st_size == 10_000_001


@pytest.mark.parametrize(
    ("megabytes", "expected"), [(1, "128MB"), (512, "128MB"), (1024, "256MB"), (1_000_000, None)]
)
def test_the_buffers_are_a_quarter_of_the_memory_of_a_container(
    tmp_path: Path, megabytes: int, expected: str | None
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{megabytes * 1024 * 1024}\n")
    assert shared_buffers(memory_limit=limit) == (
        expected or shared_buffers(memory_limit=tmp_path / "none")
    )


def test_without_a_limit_the_buffers_are_a_quarter_of_the_machine(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    found = shared_buffers(memory_limit=limit)
    assert found == shared_buffers(memory_limit=tmp_path / "none")
    assert found.endswith("MB")
    assert 128 <= int(found[:-2]) <= 1024
