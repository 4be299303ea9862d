"""Each runbook says what to see, do and check; that its commands and metrics exist: test_pages."""

import re
from typing import Final

import pytest
import yaml

from tests.docs.pages import ROOT

_PAGE: Final = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
_BOOKS: Final = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", _PAGE, re.MULTILINE))
#: Longer is not read at three in the morning.
_MOST_LINES: Final = 32


@pytest.mark.parametrize("title", _BOOKS)
def test_a_runbook_goes_from_seeing_to_checking_on_one_screen(title: str) -> None:
    steps = re.findall(r"^\*\*(\w+)\.\*\*", _BOOKS[title], re.MULTILINE)
    assert steps in (["See", "Decide", "Do", "Check"], ["See", "Do", "Check"])
    assert len(_BOOKS[title].splitlines()) <= _MOST_LINES


def test_each_runbook_names_the_alerts_that_lead_to_it_and_existing_ones_only() -> None:
    text = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    pages = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules}
    for title, book in _BOOKS.items():
        anchor = "docs/runbooks.md#" + title.lower().replace(" ", "-").replace("'", "")
        named = set(re.findall(r"`(Receiver[A-Z]\w+)`", book))
        assert named <= pages.keys(), title
        assert {alert for alert, page in pages.items() if page == anchor} <= named, title
