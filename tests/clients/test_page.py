"""The page for readers has the very commands that the tests of clients run."""

from tests.clients.generators import GENERATORS
from tests.docs.pages import ROOT, blocks_of

PAGE = ROOT / "docs" / "clients.md"


def test_the_page_has_the_commands_that_are_tested_and_no_others() -> None:
    blocks = blocks_of(PAGE, "console")[1:]  # the first one gets the document
    assert blocks == [generator.commands for generator in GENERATORS]


def test_the_page_names_every_generator_with_its_version() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for generator in GENERATORS:
        assert f"### {generator.language}: {generator.name}\n" in text
        assert f"| {generator.name} | {generator.version} |" in text
