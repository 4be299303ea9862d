from pathlib import Path

import pytest

from app.embedded.memory import shared_buffers


@pytest.mark.parametrize(
    ("megabytes", "given"), [(1, "128MB"), (512, "128MB"), (1024, "256MB"), (1_000_000, None)]
)
def test_it_is_a_quarter_of_what_a_container_may_have(
    tmp_path: Path, megabytes: int, given: str | None
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{megabytes * 1024 * 1024}\n")
    assert shared_buffers(limit=limit) == (given or shared_buffers(limit=tmp_path / "none"))


def test_without_a_limit_it_is_of_the_machine(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("max\n")
    found = shared_buffers(limit=limit)
    assert found == shared_buffers(limit=tmp_path / "none")
    assert found.endswith("MB")
    assert 128 <= int(found[:-2]) <= 1024
