import shutil
from pathlib import Path

import pytest

from tests.clients.conftest import Row
from tests.clients.generators import GENERATORS, Generator
from tests.clients.test_clients import _fetched
from tests.clients.workshop import Failed, Workshop, missing
from tests.openapi.documents import FOLDER


def _generator(needs: tuple[str, ...] = (), install: tuple[str, ...] = ()) -> Generator:
    return Generator("one", "Any", "1", needs=needs, install=install, generate=())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Workshop, "make_python", lambda _: None)


def test_a_workshop_begins_with_the_document_alone(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "backend", "one")
    assert shop.run(["ls -A"]).split() == ["openapi.json"]
    assert (shop.folder / "openapi.json").read_bytes() == (FOLDER / "openapi.json").read_bytes()


def test_a_command_that_fails_says_why_and_stops_the_others(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "backend", "one")
    with pytest.raises(Failed, match="no such thing"):
        shop.run(["echo no such thing; false", "touch later"])
    assert not (shop.folder / "later").exists()


def test_a_generator_whose_programs_are_missing_is_skipped_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert missing(["java", "go"]) == ["java", "go"]
    row = Row("one", "1")
    with pytest.raises(pytest.skip.Exception, match="java, which is not installed"):
        _fetched(_generator(needs=("java",)), tmp_path / "backend", row)
    assert row.generates == "skipped"


def test_a_generator_that_cannot_be_fetched_is_skipped_and_shown(tmp_path: Path) -> None:
    row = Row("one", "1")
    with pytest.raises(pytest.skip.Exception, match="no registry answers"):
        _fetched(
            _generator(install=("echo no registry answers; exit 1",)), tmp_path / "backend", row
        )
    assert row.generates == "skipped"


def test_every_generator_is_of_one_version() -> None:
    for generator in GENERATORS:
        assert generator.version in generator.install[0]
