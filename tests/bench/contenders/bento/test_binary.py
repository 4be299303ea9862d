import shutil
from pathlib import Path

import pytest

from tests.bench.contenders.bento.binary import bento
from tests.bench.contenders.contender import Unavailable


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def test_without_go_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="Go"):
        await bento(lambda _: None)


async def test_a_build_that_fails_makes_it_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho no such module\nexit 1\n")
    go.chmod(0o700)
    monkeypatch.setattr(shutil, "which", lambda _: str(go))
    said: list[str] = []
    with pytest.raises(Unavailable, match="no such module"):
        await bento(said.append)
    assert "building Bento" in said[0]
