"""The service among others, each in turn inside every round."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

from tests.bench.contenders import bare, idiomatic, ours, postgrest, revision, statement
from tests.bench.contenders.bento import house as bento
from tests.bench.contenders.contender import House, Runner, Unavailable
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.run import Run

Round = Mapping[str, Run]

_HOUSES: Final[Sequence[House]] = (
    bare.HOUSE,
    ours.HOUSE,
    bento.HOUSE,
    postgrest.HOUSE,
    idiomatic.HOUSE,
    statement.HOUSE,
)
_WARM_UP_SECONDS: Final = 1
_CLIENTS: Final = ours.CLIENTS


class _Ratio(NamedTuple):
    name: str
    says: str
    over: str
    under: str
    bound: Bound | None = None


#: All bodies are of one length, so the bare server has one run for all texts.
_CEILING: Final = Bound(0.35, 0.5)
_RATIOS: Final = (
    _Ratio("ours_to_bare", "ours ÷ bare server", "ours", "bare", _CEILING),
    _Ratio("same_to_bare", "ours ÷ bare server, same texts", "same", "bare", _CEILING),
    _Ratio("personal_to_bare", "ours ÷ bare server, personal texts", "personal", "bare", _CEILING),
    _Ratio("personal_to_same", "personal texts ÷ same texts", "personal", "same", Bound(0.95)),
    _Ratio("ours_to_bento", "ours ÷ Bento", "ours", "bento", Bound(1.2, 1.5)),
    _Ratio("ours_to_postgrest", "ours ÷ PostgREST", "ours", "postgrest", Bound(6, 8)),
    _Ratio("ours_to_idiomatic", "ours ÷ idiomatic", "ours", "idiomatic", Bound(25)),
    _Ratio("ours_to_statement", "ours ÷ the statement alone", "ours", "statement"),
    _Ratio("ours_to_before", "now ÷ the other revision", "ours", "before"),
    _Ratio("same_to_before", "now ÷ the other revision, same texts", "same", "before_same"),
    _Ratio(
        "personal_to_before",
        "now ÷ the other revision, personal texts",
        "personal",
        "before_personal",
        Bound(1),
    ),
    _Ratio("followed_to_ours", "with long polls ÷ without", "followed", "ours", Bound(0.9)),
)

_Value = Callable[[Run], float]
#: Of each contender.
_OF_ALL: Final[Sequence[tuple[str, str, _Value]]] = (
    ("per_second", "callbacks a second", lambda run: run.load.per_second),
    ("service_cpu_ms", "CPU ms of the service for a callback", lambda run: run.service_ms),
    ("postgres_cpu_ms", "CPU ms of PostgreSQL for a callback", lambda run: run.postgres_ms),
)
#: Of the feed's clients.
_OF_FEED: Final[Sequence[tuple[str, str, _Value]]] = (
    ("pages_per_client", "pages that a client got", lambda run: _of_feed(run, "pages") / _CLIENTS),
    ("items_per_client", "items that a client got", lambda run: _of_feed(run, "items") / _CLIENTS),
    (
        "clients_woken",
        "clients that received something",
        lambda run: _of_feed(run, "woken_at_last"),
    ),
)


async def measure(setting: Setting) -> Findings:
    """All contenders that are wanted and can be had."""
    findings = Findings()
    async with AsyncExitStack() as stack:
        runners = await _opened(setting, stack, findings)
        await _warm_up(runners, setting)
        rounds = [await _round(number, runners, setting) for number in range(setting.rounds)]
    findings.figures += _figures_of(rounds, _says(setting))
    findings.faults += [
        f"{name}: {fault}" for each in rounds for name, run in each.items() for fault in run.faults
    ]
    findings.details["contenders"] = [
        {name: run.document() for name, run in each.items()} for each in rounds
    ]
    return findings


async def _opened(
    setting: Setting, stack: AsyncExitStack, findings: Findings
) -> Mapping[str, Runner]:
    runners: dict[str, Runner] = {}
    for house in _houses(setting):
        if not any(map(setting.wants, house.names)):
            continue
        setting.say(f"starting {house.names[0]}")
        try:
            runners |= await stack.enter_async_context(
                house.opened(setting.folder / house.names[0], setting.say)
            )
        except Unavailable as error:
            findings.skipped.append(f"{house.names[0]}: {error}")
            setting.say(f"skipping {house.names[0]}: {error}")
    return {name: runner for name, runner in runners.items() if setting.wants(name)}


async def _warm_up(runners: Mapping[str, Runner], setting: Setting) -> None:
    """Have plans made and code paths taken before it counts."""
    setting.say("warming up")
    for runner in runners.values():
        await runner.run(_WARM_UP_SECONDS)


async def _round(number: int, runners: Mapping[str, Runner], setting: Setting) -> Round:
    runs, says = {}, _says(setting)
    for name in _in_turn(list(runners), number):
        setting.say(f"round {number + 1}: {says[name]}")
        runs[name] = await runners[name].run(setting.seconds)
    return runs


def _in_turn(names: Sequence[str], number: int) -> Sequence[str]:
    """Every other round goes backwards, and after two another one begins."""
    start = number // 2 % max(1, len(names))
    turned = [*names[start:], *names[:start]]
    return turned[::-1] if number % 2 else turned


def _figures_of(rounds: Sequence[Round], says: Mapping[str, str]) -> list[Figure]:
    measured = rounds[0].keys()
    ratios = [ratio for ratio in _RATIOS if {ratio.over, ratio.under} <= measured]
    figures = [
        Figure(ratio.name, ratio.says, [_rate(each, ratio) for each in rounds], ratio.bound)
        for ratio in ratios
    ]
    figures += [
        Figure(
            f"{ratio.name}_by_cpu",
            f"{ratio.says}, callbacks for a second of CPU",
            [_rate_by_cpu(each, ratio) for each in rounds],
        )
        for ratio in ratios
    ]
    for name in measured:
        figures += _own_figures(name, says[name], [each[name] for each in rounds])
    return figures


def _own_figures(name: str, is_what: str, runs: Sequence[Run]) -> list[Figure]:
    figures = [
        Figure(f"{name}_{what}", f"{is_what}: {says}", [of(run) for run in runs])
        for what, says, of in _OF_ALL
    ]
    if runs[0].feed is not None:
        figures += [
            Figure(f"feed_{what}", says, list(map(of, runs))) for what, says, of in _OF_FEED
        ]
    return figures


def _rate(each: Round, ratio: _Ratio) -> float:
    over, under = (each[name].load for name in (ratio.over, ratio.under))
    # One that answered nothing is a fault already.
    return over.per_second / max(under.per_second, 1 / under.seconds)


def _rate_by_cpu(each: Round, ratio: _Ratio) -> float:
    """The same without what other programs on the machine take; wrk's share is left out as well."""
    over, under = (each[name] for name in (ratio.over, ratio.under))
    return (under.service_ms + under.postgres_ms) / (over.service_ms + over.postgres_ms or 1)


def _of_feed(run: Run, what: str) -> float:
    assert run.feed is not None
    return float(run.feed[what])


def _houses(setting: Setting) -> Sequence[House]:
    return [*_HOUSES, revision.house_of(setting.against)] if setting.against else _HOUSES


def _says(setting: Setting) -> Mapping[str, str]:
    return {name: says for house in _houses(setting) for name, says in house.says.items()}


GROUP: Final = Group(
    "contenders",
    "callbacks a second, beside others on the same machine",
    measure,
    parts=[*(name for house in _HOUSES for name in house.names), *revision.BEFORE.values()],
)
