"""The demo: one campaign through the whole service, shown live and compared at the end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.sandbox.behaviour import Behaviour
from app.sandbox.callback_poster import PostingProgress
from app.sandbox.comparison import Comparison, compare
from app.sandbox.demo_stack import Backend, DemoStack, running_stack

RECIPIENTS: Final = 500
BEHAVIOUR: Final = Behaviour(
    callbacks_per_second=250,
    duplicate_share=0.10,
    shuffled=True,
    before_answer=True,
    time_scale=0.01,
    seed=2026,
)
_REFRESH_SECONDS: Final = 0.25
_BAR_CHARACTERS: Final = 40
#: The demo prefers to show a history with at least this many events.
_MIN_SHOWN_EVENTS: Final = 3
#: The hours to milliseconds of an ISO 8601 time.
_CLOCK: Final = slice(11, 23)


async def demonstrate(folder: Path, console: Console, *, keep: bool) -> bool:
    """
    Run the demo with its data in *folder*; return whether all that was sent is stored, once.

    With *keep* everything keeps running until the task is cancelled.
    """
    console.print("Starting PostgreSQL, the service and a simulated Routee …")
    async with running_stack(folder, BEHAVIOUR) as stack:
        console.print(f"The service listens on [bold]{stack.service_url}[/]\n")
        launched = await stack.backend.launch(_request())
        console.print(
            f"Launched campaign [bold]{launched['trackingId']}[/] to {RECIPIENTS} recipients: "
            f"Routee says {launched['state']}, cost {launched['cost']}"
        )
        await _watch(stack, launched, console)
        comparison = await compare(stack.backend, stack.routee.campaigns[launched["trackingId"]])
        _show_outcome(console, stack.routee.progress, comparison)
        _show_history(console, comparison)
        _show_next(console, stack, comparison, keep=keep)
        if keep:
            console.print(
                f"\nThe dashboard: [bold]{stack.service_url}/ui/[/]\n"
                f"Sign in with the key {stack.dashboard_key}",
                soft_wrap=True,
                highlight=False,
            )
            console.print("\nEverything keeps running. Ctrl-C ends it.")
            await asyncio.Event().wait()
    return not comparison.differences


def _request() -> dict[str, Any]:
    """A campaign in the form of Routee's API."""
    return {
        "senderInfoTrackingId": "9d1b8a5c-7f64-4a1e-bb0e-2f7f1a6f0c11",
        "to": [f"+3069450{number:05}" for number in range(RECIPIENTS)],
        "body": {
            "text": "Our spring collection is here.",
            "action": {"caption": "Have a look", "targetUrl": "https://shop.example/spring"},
        },
        "ttl": 86400,
        "label": "spring",
    }


async def _watch(stack: DemoStack, launched: dict[str, Any], console: Console) -> None:
    """Show a progress bar and the counts by status until all callbacks are posted."""
    bar = Progress(
        TextColumn("callbacks"),
        BarColumn(_BAR_CHARACTERS),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        auto_refresh=False,
    )
    task = bar.add_task("callbacks", total=None)
    with (
        Live(bar, console=console, auto_refresh=False, transient=True) as live,
        _running(stack.routee.drained()) as posting,
    ):
        while not posting.done():
            await asyncio.wait({posting}, timeout=_REFRESH_SECONDS)
            posted = stack.routee.progress
            bar.update(task, total=posted.total, completed=posted.settled)
            counts = await _counts_table(stack.backend, launched["id"])
            live.update(Group(bar, counts), refresh=True)
        posting.result()


@contextmanager
def _running(doing: Any) -> Iterator["asyncio.Task[None]"]:  # noqa: ANN401 (any coroutine)
    task = asyncio.ensure_future(doing)
    try:
        yield task
    finally:
        task.cancel()


async def _counts_table(backend: Backend, campaign_id: str) -> Table:
    campaign = await backend.get(f"/v1/campaigns/{campaign_id}")
    table = Table(box=None, show_header=False)
    for status, count in {**campaign["counts"], "awaiting": campaign["awaiting"] or 0}.items():
        if count:
            table.add_row(status, "█" * round(count * _BAR_CHARACTERS / RECIPIENTS), str(count))
    return table


def _show_outcome(console: Console, posted: PostingProgress, comparison: Comparison) -> None:
    distinct = comparison.events + len(comparison.replies)
    answered = posted.acknowledged + posted.duplicates_acknowledged
    table = Table(
        title="What was sent, and what is stored", title_justify="left", show_header=False
    )
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("callbacks and replies posted", str(posted.attempted))
    table.add_row("answered 200", str(answered))
    table.add_row("events stored", str(comparison.events))
    table.add_row("inbound messages stored", str(len(comparison.replies)))
    table.add_row("duplicates recognised", str(answered - distinct))
    table.add_section()
    for status, count in comparison.campaign["counts"].items():
        if count:
            table.add_row(status, str(count))
    table.add_row("recipients", str(comparison.campaign["totalMessages"]))
    console.print(table)
    if comparison.differences:
        console.print("[bold red]What is stored differs from what was sent:[/]")
        for difference in comparison.differences:
            console.print(f"  {difference}", markup=False)
    else:
        console.print("[green]What is stored equals what was sent.[/]")


def _show_history(console: Console, comparison: Comparison) -> None:
    """Show the message with the most events that did not change its status."""
    message_id, events = max(
        comparison.histories.items(),
        key=lambda item: (
            len(item[1]) >= _MIN_SHOWN_EVENTS,
            sum(not event["changed"] for event in item[1]),
        ),
    )
    table = Table(title=f"\nThe history of message {message_id}", title_justify="left")
    for column in ("stored", "status", "occurred", "changed", "reason"):
        table.add_column(column)
    for event in events:
        table.add_row(
            event["receivedAt"][_CLOCK],
            event["status"],
            event["occurredAt"][_CLOCK],
            "yes" if event["changed"] else "no",
            event["reason"],
        )
    console.print(table)


def _show_next(console: Console, stack: DemoStack, comparison: Comparison, *, keep: bool) -> None:
    message_id = comparison.messages[0]["trackingId"]
    campaign_id = comparison.campaign["trackingId"]
    console.print(
        "\nAsk the service yourself:"
        if keep
        else "\nWith `make demo ARGS=--keep`, ask it yourself:"
    )
    for path in (
        f"/v1/status/{message_id}",
        f"/v1/messages/{message_id}/events?raw=true",
        f"/v1/campaigns/{campaign_id}",
        f"/v1/campaigns/{campaign_id}/messages?status=UNDELIVERED&limit=5",
        f"/v1/inbound-messages?campaignTrackingId={campaign_id}&limit=5",
    ):
        console.print(
            f"  curl -H 'Authorization: Bearer {stack.api_key}' '{stack.service_url}{path}'",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
