"""`routee-receiver simulate`: runs a simulated Routee."""

import asyncio
import math
import shlex
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated, Final

import typer
import uvicorn
from rich.console import Console

from app.sandbox.behaviour import Behaviour
from app.sandbox.callback_poster import PostingProgress
from app.sandbox.faults import Endpoint, InjectedFault, named_faults
from app.sandbox.ledger import Launches
from app.sandbox.routee import SimulatedRoutee

_PROGRESS_EVERY_SECONDS = 2.0

#: How long open requests may take on shutdown.
_GRACE_SECONDS = 3

_FAULT_FORM: Final = "ENDPOINT:FAULT:PROBABILITY"
_FAULT_HELP: Final = (
    "Let requests fail with a probability, e.g. campaign:cut-after:0.1; may be given many times. "
    f"Endpoints: {', '.join(Endpoint)}. "
    f"Faults: {', '.join(named_faults(slow_seconds=0, retry_after=None))}; "
    "a fault named after happens after Routee has handled the request."
)

_console = Console(highlight=False, soft_wrap=True)


def _share(written: str | float) -> float:
    """
    A share such as `5%` or `0.05`.

    Raises:
        typer.BadParameter: it is none.
    """
    text = str(written)
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"{text!r} is no share: write 5% or 0.05")
    return share


def simulate(  # noqa: PLR0913 (one parameter per option)
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8100,
    application_id: Annotated[
        str, typer.Option(help="Application id that may fetch a token.")
    ] = "demo-application",
    application_secret: Annotated[
        str, typer.Option(help="Secret of that application; it is printed.")
    ] = "demo-secret",  # noqa: S107 (it opens the simulator only)
    callbacks_per_second: Annotated[
        float, typer.Option(min=0, help="Callbacks per second; 0 is as fast as possible.")
    ] = 200.0,
    duplicate_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of callbacks sent twice although acknowledged."),
    ] = 0.0,
    shuffled: Annotated[
        bool, typer.Option("--shuffled", help="Send the callbacks in random order.")
    ] = False,
    delay_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds from a campaign to its first callback.")
    ] = 0.0,
    forget: Annotated[
        float,
        typer.Option(
            parser=_share,
            metavar="SHARE",
            help="Share of status callbacks that are never sent, though tracking has them: 5% or "
            "0.05.",
        ),
    ] = 0.0,
    lose_answers: Annotated[
        float,
        typer.Option(
            parser=_share,
            metavar="SHARE",
            help="Share of launches that Routee accepts without answering, as with "
            "campaign:cut-after.",
        ),
    ] = 0.0,
    tracking_per_second: Annotated[
        float,
        typer.Option(min=0, help="Tracking reads above this rate get 429; 0 is no limit."),
    ] = 0.0,
    before_answer: Annotated[
        bool,
        typer.Option("--before-answer", help="Send some callbacks before answering the launch."),
    ] = False,
    connections: Annotated[
        int, typer.Option(min=1, help="How many callbacks are posted at the same time.")
    ] = 16,
    time_scale: Annotated[
        float,
        typer.Option(min=0, help="Factor for the time between repeats; 1 is Routee's own."),
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same callbacks and the same faults.")
    ] = 1,
    fault: Annotated[list[str] | None, typer.Option(metavar=_FAULT_FORM, help=_FAULT_HELP)] = None,
    slow_seconds: Annotated[
        float, typer.Option(min=0, help="Duration of the faults slow-before and slow-after.")
    ] = 5.0,
    retry_after: Annotated[
        str, typer.Option(help="The Retry-After of the fault 429: seconds or an HTTP date.")
    ] = "1",
    balance: Annotated[
        float, typer.Option(min=0, help="Balance of the account; a message costs 0.035.")
    ] = math.inf,
    token_lifetime_seconds: Annotated[
        float, typer.Option(min=1, help="How long an access token is valid.")
    ] = 3600.0,
    viber: Annotated[
        bool, typer.Option(help="Whether Viber is activated for the account; otherwise 403.")
    ] = True,
) -> None:
    """
    Run a simulated Routee that takes campaigns and posts their callbacks.

    It refuses the requests that Routee refuses. Some refusals need special values: the sender id
    unknown-sender, the contact id unknown-contact, and any file URL with larger-than-600-kb in it.
    """
    faults = named_faults(slow_seconds=slow_seconds, retry_after=retry_after)
    shares = _read_faults(fault or [], faults)
    if lose_answers:
        shares.setdefault(Endpoint.CAMPAIGN, {})[faults["cut-after"]] = lose_answers
    routee = SimulatedRoutee(
        behaviour=Behaviour(
            callbacks_per_second=callbacks_per_second or math.inf,
            duplicate_share=duplicate_share,
            shuffled=shuffled,
            delay_seconds=delay_seconds,
            lost_share=forget,
            tracking_per_second=tracking_per_second or math.inf,
            before_answer=before_answer,
            connections=connections,
            time_scale=time_scale,
            seed=seed,
        ),
        application_id=application_id,
        application_secret=application_secret,
        balance=Decimal(str(balance)),
        token_lifetime_seconds=token_lifetime_seconds,
    )
    routee.account.is_viber_activated = viber
    for endpoint, chances in shares.items():
        _plan(routee, endpoint, chances)
    config = uvicorn.Config(
        routee.app,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    introduction = _introduction(origin, application_id, application_secret)
    asyncio.run(_serve(routee, uvicorn.Server(config), introduction))
    _console.print(_launches_line(routee.launches.values()), markup=False)
    for line in _fault_lines(routee, faults):
        _console.print(line, markup=False)


def _read_faults(
    written: Iterable[str], faults: Mapping[str, InjectedFault]
) -> dict[Endpoint, dict[InjectedFault, float]]:
    """
    The probability of each fault by endpoint.

    Raises:
        typer.BadParameter: one of them does not have the form of the option.
    """
    shares: dict[Endpoint, dict[InjectedFault, float]] = {}
    for one in written:
        try:
            endpoint, name, share = one.split(":")
            shares.setdefault(Endpoint(endpoint), {})[faults[name]] = float(share)
        except (ValueError, KeyError):
            raise typer.BadParameter(f"{one!r} is not {_FAULT_FORM}: {_FAULT_HELP}") from None
    return shares


def _plan(
    routee: SimulatedRoutee, endpoint: Endpoint, shares: Mapping[InjectedFault, float]
) -> None:
    try:
        routee.faults.sometimes(endpoint, shares)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def _serve(routee: SimulatedRoutee, server: uvicorn.Server, introduction: str) -> None:
    with _stopped_by_signals(server):
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_show(routee, server, introduction))
            await server.serve()
            showing.cancel()
    _console.print(_line(routee.progress), markup=False)


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """
    Let SIGINT and SIGTERM ask the server to stop, and nothing else.

    After a clean stop the server raises the signal again. Without this context manager, the signal
    would kill the process before the last line is printed.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _show(routee: SimulatedRoutee, server: uvicorn.Server, introduction: str) -> None:
    """Print the introduction when the server listens, and then the progress when it changes."""
    while not server.started:  # noqa: ASYNC110 (uvicorn has a flag for it, and no event)
        await asyncio.sleep(0.05)
    _console.print(introduction, markup=False)
    shown = routee.progress
    while True:
        await asyncio.sleep(_PROGRESS_EVERY_SECONDS)
        progress = routee.progress
        if progress != shown:
            _console.print(_line(progress), markup=False)
            shown = progress


def _introduction(origin: str, application_id: str, application_secret: str) -> str:
    return "\n".join(
        (
            f"Simulated Routee at {origin}. Connect a receiver to it with:",
            "",
            f"export RECEIVER_ROUTEE_API_URL={origin}",
            f"export RECEIVER_ROUTEE_AUTH_URL={origin}",
            f"export RECEIVER_ROUTEE_APPLICATION_ID={shlex.quote(application_id)}",
            f"export RECEIVER_ROUTEE_APPLICATION_SECRET={shlex.quote(application_secret)}",
            "",
            "Its RECEIVER_PUBLIC_URL is where the callbacks go. Ctrl-C ends the simulator.",
            "",
        )
    )


def _launches_line(launches: Collection[Launches]) -> str:
    return (
        f"{len(launches)} campaign names: "
        f"{sum(one.requests for one in launches)} requests, "
        f"{sum(one.accepted for one in launches)} accepted, "
        f"{sum(one.accepted > 1 for one in launches)} names more than once"
    )


def _fault_lines(routee: SimulatedRoutee, faults: Mapping[str, InjectedFault]) -> Iterator[str]:
    names = {fault: name for name, fault in faults.items()}
    for (endpoint, fault), count in sorted(
        routee.faults.met.items(), key=lambda item: (item[0][0], names[item[0][1]])
    ):
        yield f"{endpoint} {names[fault]}: {count} times"


def _line(progress: PostingProgress) -> str:
    return (
        f"{progress.settled} of {progress.total} callbacks settled: "
        f"{progress.acknowledged} acknowledged, "
        f"{progress.duplicates_acknowledged} of them twice, "
        f"{progress.abandoned} abandoned, {progress.lost} lost on purpose; "
        f"{progress.attempted} posts, {progress.retries} repeats, "
        f"{progress.refused} refused, {progress.unanswered} unanswered"
    )
