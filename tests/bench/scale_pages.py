"""How long each page of the dashboard takes on a full database, and what a first visit loads."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Final

import httpx

from app.domain.api_key import Scope
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Setting
from tests.bench.pages import PAGES
from tests.bench.scale_sides import Side
from tests.bench.visitor import Answer, Visitor, visiting
from tests.database import connect
from tests.promises.stage import Service, made_key

PAGES_PART: Final = "scale_pages"
_SURROUNDINGS: Final = Path(__file__).with_name("scale_pages.sql")
_CALLS: Final = 20
_WARM_UP_CALLS: Final = 3
_SEED: Final = 1
_MILLISECONDS: Final = Bound(200, is_ceiling=True)
_FIRST_VISIT_BYTES: Final = Bound(60_000, is_ceiling=True)


@dataclass
class _Round:
    """The milliseconds of each page, and of what the pages are compared with."""

    pages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    api: list[float] = field(default_factory=list)


async def measure(setting: Setting, side: Side) -> Findings:
    """Each page over HTTP, from the service, for somebody who is signed in with all scopes."""
    connection = await connect(side.url, timeout=60)
    await connection.execute(_SURROUNDINGS.read_text())
    await connection.close()
    async with _signed_in(side, setting.folder) as (visitor, key):
        rng = Random(_SEED)  # noqa: S311 (no secret)
        answered = await _warmed_up(side, visitor, rng)
        present = [name for name, answers in answered.items() if not _failures(answers)]
        rounds = []
        for number in range(setting.rounds):
            setting.say(f"round {number + 1}: {len(present)} pages of the dashboard")
            rounds.append(await _round(side, visitor, key, present, rng))
        sizes = await visitor.first_visit("/ui/") if "overview" in present else {}
    findings = _findings(rounds, present, sizes)
    _add_what_is_missing(findings, answered)
    return findings


@asynccontextmanager
async def _signed_in(side: Side, folder: Path) -> AsyncIterator[tuple[Visitor, str]]:
    key = await made_key(side.url, *Scope)
    service = Service(side.url, folder)
    try:
        await service.start()
        async with visiting(service.url) as visitor:
            await visitor.sign_in(key)
            yield visitor, key
    finally:
        service.kill()


async def _warmed_up(side: Side, visitor: Visitor, rng: Random) -> dict[str, list[Answer]]:
    """How each page is answered the first few times."""
    return {
        name: [await page.chosen(side.plan, rng)(visitor) for _ in range(_WARM_UP_CALLS)]
        for name, page in PAGES.items()
    }


async def _round(
    side: Side, visitor: Visitor, key: str, present: Sequence[str], rng: Random
) -> _Round:
    """All pages in turn, again and again, and a campaign of the API as often as each of them."""
    found = _Round()
    for _ in range(_CALLS):
        for name in present:
            answer = await PAGES[name].chosen(side.plan, rng)(visitor)
            assert answer.status == httpx.codes.OK, (name, answer)
            found.pages[name].append(answer.milliseconds)
        campaign = side.plan.campaign_id(rng.randrange(side.plan.campaigns))
        bearer = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
        answer = await visitor.get(f"/v1/campaigns/{campaign}", bearer)
        assert answer.status == httpx.codes.OK, answer
        found.api.append(answer.milliseconds)
    return found


def _findings(
    rounds: Sequence[_Round], present: Sequence[str], sizes: Mapping[str, int]
) -> Findings:
    findings = Findings(details={PAGES_PART: {"first_visit": dict(sizes)}})
    for name in present:
        findings.figures += _figures(name, rounds)
    findings.figures.append(
        Figure(
            f"{PAGES_PART}_api_ms",
            "ms for one campaign of the API, beside the pages",
            [median(each.api) for each in rounds],
        )
    )
    if sizes:
        says = "bytes of the first visit, with all files"
        total = float(sum(sizes.values()))
        findings.figures.append(Figure(f"{PAGES_PART}_bytes", says, [total], _FIRST_VISIT_BYTES))
    return findings


def _figures(name: str, rounds: Sequence[_Round]) -> list[Figure]:
    says, start = PAGES[name].says, f"{PAGES_PART}_{name}"
    pages = [each.pages[name] for each in rounds]
    middles = [median(page) for page in pages]
    ratios = [middle / median(each.api) for middle, each in zip(middles, rounds, strict=True)]
    return [
        Figure(f"{start}_ms", f"ms for a page, median: {says}", middles, _MILLISECONDS),
        Figure(f"{start}_p95_ms", f"ms for a page, p95: {says}", [p95(page) for page in pages]),
        Figure(f"{start}_to_api", f"{says} ÷ one campaign of the API", ratios),
    ]


def p95(values: Sequence[float]) -> float:
    """What 95 % of *values*, of which there are several, do not exceed."""
    return quantiles(values, n=20, method="inclusive")[-1]


def _add_what_is_missing(findings: Findings, answered: Mapping[str, Sequence[Answer]]) -> None:
    """Say which pages there are not, which fail, and which show nothing."""
    for name, answers in answered.items():
        page = PAGES[name]
        failures = _failures(answers)
        if failures == {httpx.codes.NOT_FOUND}:
            findings.skipped.append(f"the page {page.says}: there is none")
        elif failures:
            findings.faults.append(f"the page {page.says} is answered {sorted(failures)}")
        elif not all(page.has in answer.text for answer in answers):
            findings.faults.append(f"the page {page.says} shows nothing: no {page.has}")


def _failures(answers: Sequence[Answer]) -> set[int]:
    return {answer.status for answer in answers} - {int(httpx.codes.OK)}
