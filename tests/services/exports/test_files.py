import os
from pathlib import Path

import pytest

from app.services.exports.files import NotWritable, complete_file, complete_folder


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_has_its_name_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with complete_file(path) as file:
        file.write(b"all")
        assert names(tmp_path) == ["rows.csv.partial"]
    assert names(tmp_path) == ["rows.csv"]
    assert path.read_bytes() == b"all"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_export_keeps_the_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), complete_file(path) as file:  # noqa: PT012
        file.write(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["rows.csv"]
    assert path.read_bytes() == b"before"


def test_two_exports_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with complete_file(path) as file:
        file.write(b"first")
        with pytest.raises(NotWritable, match=r"rows\.csv\.partial exists"), complete_file(path):
            pass
    assert path.read_bytes() == b"first"


def test_a_folder_has_its_name_once_it_is_complete(tmp_path: Path) -> None:
    with complete_folder(tmp_path / "days") as folder:
        (folder / "a").write_bytes(b"x")
        assert names(tmp_path) == ["days.partial"]
    assert (tmp_path / "days" / "a").read_bytes() == b"x"
    with pytest.raises(NotWritable, match="exists already"), complete_folder(tmp_path / "days"):
        pass


def test_a_folder_that_fails_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), complete_folder(tmp_path / "days") as folder:  # noqa: PT012
        (folder / "a").write_bytes(b"x")
        raise ValueError("x")
    assert names(tmp_path) == []


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="is a folder"), complete_file(tmp_path):
        pass
    with pytest.raises(NotWritable, match="is a folder"), complete_file(Path()):
        pass
    with pytest.raises(NotWritable, match="exists already"), complete_folder(Path()):
        pass


def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(NotWritable, match="- for standard output"), complete_file(pipe):
        pass
    assert pipe.is_fifo()
    with (
        pytest.raises(NotWritable, match="- for standard output"),
        complete_file(Path("/dev/null")),
    ):
        pass
    assert names(tmp_path) == ["pipe"]


def test_a_link_goes_on_leading_to_the_file(tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir()
    link.symlink_to(there / "rows.csv")
    for content in (b"first", b"second"):
        with complete_file(link) as file:
            file.write(content)
            assert "rows.csv.partial" in names(there)
        assert link.is_symlink()
        assert (there / "rows.csv").read_bytes() == content


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "rows.csv"
    with pytest.raises(NotWritable, match="No such file or directory"), complete_file(path):
        pass
