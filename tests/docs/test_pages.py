"""What the pages name exists, and the README stays short."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer.main
from typer.core import TyperGroup

from app.cli import app
from app.cli.config import configuration_page
from app.observability.metrics import Metrics
from app.settings import Settings, may_be_in_a_file, variable_of
from tests.docs.pages import PAGES, README, ROOT, anchors_of, blocks_of, name_of, prose_of

MAX_README_LINES: Final = 180
MAX_README_WORDS: Final = 900
MAX_DECISION_LINES: Final = 45
DECISION_PARTS: Final = ("Context", "Decision", "Consequence", "Measured", "Given up")

_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_VARIABLE: Final = re.compile(r"\bRECEIVER_[A-Z_]*[A-Z]\b")
_METRIC: Final = re.compile(r"`(receiver_[a-z_]+)")
_PROGRAM: Final = re.compile(r"(?:^|[\s(/])routee-receiver((?: +[^\s|;)#]+)*)")
#: An argument in a command is made up, or left out.
_ELLIPSIS: Final = "…"


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in anchors_of(file))


def test_relative_links_lead_somewhere() -> None:
    lost = [
        (name_of(page), target)
        for page in PAGES
        for target in _LINK.findall(prose_of(page))
        if "://" not in target and not _leads_somewhere(page, target)
    ]
    assert not lost


def test_the_readme_links_every_page() -> None:
    linked = {
        (ROOT / target.partition("#")[0]).resolve() for target in _LINK.findall(prose_of(README))
    }
    assert set((ROOT / "docs").glob("*.md")) <= linked


def test_the_list_of_decisions_links_every_decision() -> None:
    folder = ROOT / "docs" / "decisions"
    linked = {folder / target for target in _LINK.findall(prose_of(folder / "README.md"))}
    assert linked == set(folder.glob("0*.md"))


def test_the_readme_is_short() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_README_LINES
    assert len(text.split()) <= MAX_README_WORDS


def test_decisions_say_all_that_belongs_to_them_on_one_screen() -> None:
    for page in sorted((ROOT / "docs" / "decisions").glob("0*.md")):
        text = page.read_text(encoding="utf-8")
        parts = re.findall(r"^\*\*([\w ]+)\.\*\*", text, re.MULTILINE)
        assert parts == list(DECISION_PARTS), name_of(page)
        assert len(text.splitlines()) <= MAX_DECISION_LINES, name_of(page)


def test_the_configuration_page_is_what_the_settings_say() -> None:
    page = ROOT / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == configuration_page(), "run `make docs`"


def test_every_setting_that_is_named_exists() -> None:
    known = {variable_of(name) for name in Settings.model_fields}
    known |= {
        f"{variable_of(name)}_FILE" for name in Settings.model_fields if may_be_in_a_file(name)
    }
    # Beginnings of names, as in `RECEIVER_ROUTEE_…`, end in an underscore and are not found.
    for page in PAGES:
        named = set(_VARIABLE.findall(page.read_text(encoding="utf-8")))
        assert named <= known, name_of(page)


def test_every_metric_that_is_named_exists() -> None:
    known = {
        name for metric in Metrics().collect() for name in (metric.name, f"{metric.name}_total")
    }
    for page in PAGES:
        assert set(_METRIC.findall(page.read_text(encoding="utf-8"))) <= known, name_of(page)


def _commands_in(page: Path) -> Iterator[str]:
    """Everything behind `routee-receiver` in code, up to the end of the command."""
    lines: list[str] = _CODE.findall(prose_of(page))
    lines += [line for text in blocks_of(page, "console") for line in text.splitlines()]
    for line in lines:
        for arguments in _PROGRAM.findall(line):
            yield arguments.strip()


def _fault_of(line: str) -> str | None:
    """What the program would not understand in a command."""
    command = typer.main.get_command(app)
    words = [word for word in shlex.split(line) if word != _ELLIPSIS]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return f"{line}: there is no command {name}"
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = {word for word in words if word.startswith("-")} - options
    return f"{line}: unknown {unknown}" if unknown else None


def test_every_command_that_is_named_exists() -> None:
    commands = sorted({command for page in PAGES for command in _commands_in(page)})
    assert commands
    assert not [fault for line in commands if (fault := _fault_of(line))]
