import pytest
from typer.testing import CliRunner

from app.cli import app


@pytest.fixture
def settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEIVER_DATABASE_URL", url)


@pytest.mark.usefixtures("settings")
def test_without_credentials_it_says_which_settings_are_missing() -> None:
    result = CliRunner().invoke(app, ["reconcile", "--dry-run"])
    assert result.exit_code == 1
    assert "RECEIVER_ROUTEE_APPLICATION_ID, RECEIVER_ROUTEE_APPLICATION_SECRET" in " ".join(
        result.output.split()
    )


def test_a_time_that_is_none_is_refused() -> None:
    result = CliRunner().invoke(app, ["reconcile", "--since", "yesterday"])
    assert result.exit_code == 2
    assert "ISO 8601" in result.output
