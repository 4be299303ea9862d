import io
from datetime import timedelta

from rich.console import Console

from app.cli.export_progress import shown_on


def shown(expected: int, *added: int, terminal: bool, line_seconds: float = 0) -> str:
    """The output while rows are added, *added* at a time."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=80)
    with shown_on(console, line_seconds=line_seconds) as display:
        display.expect(expected)
        for rows in added:
            display.add(rows)
        assert display.rows == sum(added)
    return file.getvalue()


def test_a_terminal_shows_a_bar_with_an_estimate_and_a_rate() -> None:
    written = shown(10_000_000, 1_000_000, 4_000_000, terminal=True)
    assert "5,000,000 of about 10,000,000 rows, " in written
    assert "rows/s" in written
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in written


def test_an_estimate_that_was_too_low_is_dropped() -> None:
    last = shown(10, 5, 7, terminal=True)
    assert "12 rows, " in last
    assert "12 of about" not in last


def test_a_log_gets_plain_lines() -> None:
    first, second = shown(2_000, 500, 1_000, terminal=False).splitlines()
    assert first.startswith("500 of about 2,000 rows, ")
    assert second.startswith("1,500 of about 2,000 rows, ")
    assert second.endswith(" rows/s")


def test_a_log_gets_a_line_only_now_and_then() -> None:
    assert shown(2_000, 500, 1_000, terminal=False, line_seconds=30) == ""


def test_a_wait_is_reported() -> None:
    for terminal in (True, False):
        file = io.StringIO()
        with shown_on(Console(file=file, force_terminal=terminal, width=100)) as display:
            display.wait(timedelta(seconds=41.7))
        assert "Waiting about 42 s for what may still be committed before --until." in (
            file.getvalue().replace("\x1b[1;36m", "").replace("\x1b[0m", "")
        )
