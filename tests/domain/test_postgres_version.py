from pathlib import Path

import pytest
import yaml

from app.domain.postgres_version import OLDEST_SAFE, advice_for, is_safe, version_of

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.yaml"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("18.5", (18, 5)),
        ("18.12", (18, 12)),
        ("18beta1", (18, 0)),
        ("19devel", (19, 0)),
        ("", (0, 0)),
    ],
)
def test_a_version_is_compared_as_numbers(text: str, version: tuple[int, int]) -> None:
    assert version_of(text) == version


def test_what_is_older_than_the_oldest_safe_minor_is_not_safe() -> None:
    major, minor = OLDEST_SAFE
    assert is_safe(f"{major}.{minor}")
    assert is_safe(f"{major}.{minor + 7}")
    assert is_safe(f"{major + 1}.0")
    assert not is_safe(f"{major}.{minor - 1}")
    assert f"{major}.{minor} closes them" in advice_for("18.0")


def test_compose_pins_a_safe_minor_version() -> None:
    image = yaml.safe_load(COMPOSE.read_text())["services"]["postgres"]["image"]
    assert is_safe(image.removeprefix("postgres:"))
