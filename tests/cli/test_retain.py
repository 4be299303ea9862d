import pytest
from typer.testing import CliRunner, Result

from app.cli import app


@pytest.fixture(autouse=True)
def _settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["retain", *arguments])


def test_without_settings_everything_is_kept() -> None:
    result = _run()
    assert result.exit_code == 0
    assert "for ever" in result.output


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_the_removed_rows_of_each_table_are_shown(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("RECEIVER_RETENTION_EVENTS_DAYS", "400")
    monkeypatch.setenv("RECEIVER_RETENTION_MESSAGES_DAYS", "400")
    monkeypatch.setenv("RECEIVER_RETENTION_RAW_DAYS", "")
    result = _run(*arguments)
    assert result.exit_code == 0, result.output
    assert "events" in result.output


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ({"RAW": "29"}, "RECEIVER_RETENTION_RAW_DAYS: must be at least 30"),
        ({"RAW": "90", "EVENTS": "60"}, "RECEIVER_RETENTION_EVENTS_DAYS: must be at least"),
        ({"EVENTS": "90", "MESSAGES": "60"}, "RECEIVER_RETENTION_MESSAGES_DAYS: must be at least"),
        ({"MESSAGES": "60"}, "RECEIVER_RETENTION_MESSAGES_DAYS: needs"),
    ],
)
def test_a_contradictory_retention_is_refused_with_advice(
    monkeypatch: pytest.MonkeyPatch, days: dict[str, str], message: str
) -> None:
    for kind, value in days.items():
        monkeypatch.setenv(f"RECEIVER_RETENTION_{kind}_DAYS", value)
    result = _run()
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
