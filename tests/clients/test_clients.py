"""Clients that generators write from the document alone compile, and work against the service."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.domain.feed import FeedItemType
from tests.clients.conftest import Row
from tests.clients.generators import GENERATORS, Generator
from tests.clients.later import NEW_TYPE, later_version
from tests.clients.workshop import Failed, Workshop, missing
from tests.openapi.conftest import Stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PROGRAMS = Path(__file__).with_name("programs")


@pytest.mark.usefixtures("_callbacks")
@pytest.mark.parametrize("generator", GENERATORS, ids=lambda generator: generator.name)
def test_a_generated_client_compiles_and_works(
    generator: Generator,
    tmp_path: Path,
    told: dict[str, str],
    stored: Stored,
    rows: list[Row],
) -> None:
    row = Row(generator.name, generator.version)
    rows.append(row)
    shop = _fetched(generator, tmp_path / "backend", row)

    row.generates = "no"
    shop.run(generator.generate)
    row.generates = "yes"
    if not generator.compile:
        return
    row.compiles = "no"
    shop.run(generator.compile)
    row.compiles = "yes"

    assert generator.program is not None
    row.works = "no"
    name, place = generator.program
    (shop.folder / place).parent.mkdir(exist_ok=True)
    shutil.copy(PROGRAMS / name, shop.folder / place)
    expected = {
        "submission": "launched",
        "cost": "0.07",
        "found": [stored.message_id],
        "notFound": ["nothing"],
        "price": "0.035",
        "messageStatus": "DELIVERED",
        "campaignState": "Queued",
        "listed": ["AWAITING", "AWAITING"],
        "campaigns": 1,
        "problem": "urn:routee-receiver:problem:not-found",
    }
    said = _said(shop, generator, told)
    types, awaited = said.pop("types"), said.pop("awaited")
    assert said == expected
    assert {"message.inbound", "message.status"} <= set(types) <= set(FeedItemType)
    assert awaited in set(FeedItemType)

    row.works, row.lasts = "yes", "no"
    with later_version(told["RECEIVER_URL"]) as url:
        said = _said(shop, generator, told | {"RECEIVER_URL": url})
    assert {NEW_TYPE, "message.status"} <= set(said.pop("types"))
    assert said.pop("awaited") in set(FeedItemType)
    assert said == expected
    row.lasts = "yes"


def _said(shop: Workshop, generator: Generator, told: dict[str, str]) -> dict[str, Any]:
    """What our program prints last; Maven resets the terminal's colours before."""
    last = shop.run(generator.run, told).strip().splitlines()[-1]
    told_last: dict[str, Any] = json.loads(last[last.index("{") :])
    return told_last


def _fetched(generator: Generator, folder: Path, row: Row) -> Workshop:
    """The folder in which the generator is at hand; else the test is skipped."""
    if absent := missing(generator.needs):
        row.generates = "skipped"
        pytest.skip(f"{generator.name} needs {', '.join(absent)}, which is not installed")
    shop = Workshop(folder, generator.name)
    shop.make_python()
    try:
        shop.run(generator.install)
    except Failed as failure:
        row.generates = "skipped"
        pytest.skip(f"{generator.name} cannot be fetched: {failure}")
    return shop
