"""One run of the drill: failures under load, an end of the failures, and the judgement."""

import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.db.drill.reading import count_items, digests, read_analysts_view, read_stored
from app.domain.api_key import Scope, digest, make_key
from app.errors import ReceiverError
from app.sandbox.drill.api_reading import read_api
from app.sandbox.drill.callbacks import Stream
from app.sandbox.drill.course import Course
from app.sandbox.drill.durability import DurabilityProbe
from app.sandbox.drill.feed_follower import FeedFollower, FeedReading
from app.sandbox.drill.ledger import Head, read_ledger
from app.sandbox.drill.mode import Build
from app.sandbox.drill.modes import MODES, DirectMode
from app.sandbox.drill.oracles import Evidence, Finding, Totals, finding, judge
from app.sandbox.drill.plan import FaultKind, PlannedFault, make_plan
from app.sandbox.drill.sender import Orders
from app.sandbox.drill.sending import SenderProcess
from app.sandbox.drill.verification import verification_faults
from app.sandbox.processes import HOST, eventually

#: Once the failures have ended, something more is acknowledged or stored at least so often, until
#: all is. A slow machine takes longer; it does not stand still.
_STILL_SECONDS: Final = 90.0
_LONGEST_SECONDS: Final = 1800.0
_SAMPLE_SECONDS: Final = 1.0
#: A reader of the feed that gets nothing for so long gets nothing more.
_QUIET_SECONDS: Final = 30.0
#: A failure that befalls nothing shows nothing: on a slow machine the service has to come up first.
_FLOWING_ITEMS: Final = 50
_FLOW_SECONDS: Final = 20.0
_CONNECTIONS: Final = 48
_GARBAGE_ITEMS: Final = (20, 120)
_BURST_ITEMS: Final = (500, 3000)
_CLOCK_ITEMS: Final = (50, 300)
#: What befalls the sender, in every mode.
_SENDER_KINDS: Final = {
    FaultKind("garbage burst", "sender", (0.0, 0.0)): (Stream.GARBAGE, _GARBAGE_ITEMS),
    FaultKind("overload burst", "sender", (0.0, 0.0)): (Stream.BURST, _BURST_ITEMS),
    FaultKind("clock jump", "sender", (0.0, 0.0)): (Stream.CLOCK, _CLOCK_ITEMS),
}


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """What is wanted of a run."""

    mode: str = DirectMode.name
    seed: int = 1
    #: For how long failures are injected.
    minutes: float = 2.0
    callbacks_per_second: float = 1500.0
    build: Build = field(default_factory=Build)
    #: The names of the failures to inject; empty for all.
    faults: frozenset[str] = frozenset()
    #: The shortest and the longest time between two failures of a lane.
    calm_seconds: tuple[float, float] = (1.0, 6.0)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a run."""

    options: DrillOptions
    totals: Totals
    findings: list[Finding]
    course: Course
    left_out: list[str]

    @property
    def holds(self) -> bool:
        """Whether every oracle is content."""
        return all(one.holds for one in self.findings)


class Drill:
    """
    One run.

    Args:
        options: What is wanted.
        folder: Gets the data, the logs and the ledgers; empty.
    """

    def __init__(self, options: DrillOptions, folder: Path) -> None:
        self.course = Course()
        #: What the run is doing, in a few words.
        self.phase = "starting"
        self._options = options
        self._folder = folder
        self._token = secrets.token_urlsafe(32)
        self._findings: list[Finding] = []
        self._settings = {
            "RECEIVER_CALLBACK_SECRETS": self._token,
            "RECEIVER_SIGNING_KEYS": secrets.token_urlsafe(32),
            "RECEIVER_LOG_FORMAT": "json",
        }
        self._mode = MODES[options.mode](
            folder, options.build, self._settings, seconds=options.minutes * 60
        )

    async def run(self) -> Report:
        """
        Run it to its end; no process of it outlives the call.

        Raises:
            ReceiverError, TimeoutError, ProcessLookupError: it could not be started.
        """
        try:
            await self._mode.start()
            return await self._run()
        finally:
            self.phase = "stopping"
            await self._mode.stop()

    async def _run(self) -> Report:
        head = Head(
            self._options.seed,
            _whole_milliseconds(datetime.now(UTC)),
            f"http://{HOST}:{self._mode.ports[0]}/callbacks/{self._token}/inbound",
        )
        probe = DurabilityProbe(
            self._folder / "probes.ledger", head, self._token, self._mode.needed_settings
        )
        faults = await self._durability_faults(probe, "at the start")
        ledger = self._folder / "callbacks.ledger"
        sender = SenderProcess(
            Orders(
                ledger=str(ledger),
                ports=self._mode.ports,
                token=self._token,
                head=head,
                callbacks_per_second=self._options.callbacks_per_second,
                connections=_CONNECTIONS,
            ),
            self._folder / "sender.log",
        )
        follower = FeedFollower(lambda: self._mode.urls, await self._made_key())
        try:
            async with _running(follower.follow()):
                await self._under_load(sender)
                faults += await self._durability_faults(probe, "at the end")
                self._add("durability-configured", faults, "fsync, full pages, checksums, commits")
                await self._converge_readers(follower)
        finally:
            await sender.stop()
        evidence = await self._evidence(ledger, probe, follower)
        totals, findings = judge(evidence)
        return Report(
            self._options,
            totals,
            [*findings, *self._findings],
            self.course,
            self._mode.left_out,
        )

    async def _under_load(self, sender: SenderProcess) -> None:
        """The safety phase, and the liveness phase until all is acknowledged."""
        self.course = Course()
        await sender.start()
        async with _running(self._sample(sender)):
            self.phase = "failing"
            await self._inject_all(sender)
            self.phase = "converging"
            sender.finish()
            started, faults = self.course.seconds, []
            try:
                async with asyncio.timeout(_STILL_SECONDS) as limit:
                    async with _running(self._extend(limit, sender)):
                        await self._mode.heal(within_seconds=_LONGEST_SECONDS)
                        await sender.settled(within_seconds=_LONGEST_SECONDS)
                        await self._mode.drain(within_seconds=_LONGEST_SECONDS)
            except TimeoutError:
                pending = sender.tally.pending
                faults.append(
                    f"nothing moved for {_STILL_SECONDS:g} s; {pending} callbacks are not "
                    "acknowledged, or some are not stored"
                )
            seconds = self.course.seconds - started
            self._add("converges", faults, f"{seconds:.0f} s after the last failure")
            self._add("no-process-crashed", self._mode.crashes)

    async def _extend(self, limit: asyncio.Timeout, sender: SenderProcess) -> None:
        """Put *limit* off each time that more is acknowledged or stored."""
        loop, seen = asyncio.get_running_loop(), None
        while True:
            stored = self.course.stored[-1][1] if self.course.stored else 0
            if (now := (sender.tally.acknowledged, stored)) != seen:
                seen = now
                limit.reschedule(loop.time() + _STILL_SECONDS)
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _inject_all(self, sender: SenderProcess) -> None:
        seconds = self._options.minutes * 60
        plan = make_plan(
            [kind for kind in (*self._mode.kinds, *_SENDER_KINDS) if self._is_wanted(kind)],
            seed=self._options.seed,
            seconds=seconds,
            calm=self._options.calm_seconds,
        )
        async with asyncio.TaskGroup() as group:
            for lane in {fault.kind.lane for fault in plan}:
                its = [fault for fault in plan if fault.kind.lane == lane]
                group.create_task(self._inject(its, sender, until=seconds))
            await asyncio.sleep(seconds)

    def _is_wanted(self, kind: FaultKind) -> bool:
        return not self._options.faults or kind.name in self._options.faults

    async def _inject(
        self, faults: Iterable[PlannedFault], sender: SenderProcess, *, until: float
    ) -> None:
        """
        Let the failures of one lane happen, each when callbacks are acknowledged again.

        A lane that is late leaves failures out, but none of a kind that has not happened yet.
        """
        happened_kinds = set[FaultKind]()
        for fault in faults:
            await asyncio.sleep(max(0.0, fault.at - self.course.seconds))
            await self._flow(sender)
            started = self.course.seconds
            if started + fault.seconds > until and fault.kind in happened_kinds:
                continue
            if fault.kind in _SENDER_KINDS:
                stream, (least, most) = _SENDER_KINDS[fault.kind]
                sender.burst(stream, least + int(fault.draw * (most - least)))
                happened = True
            else:
                happened = await self._mode.inject(fault)
            if happened:
                happened_kinds.add(fault.kind)
            self.course.note_fault(fault.kind, started, happened=happened)

    async def _flow(self, sender: SenderProcess) -> None:
        """Return when some callbacks more are acknowledged, or at the latest after a while."""
        enough = sender.tally.acknowledged + _FLOWING_ITEMS

        async def _are() -> bool:
            return sender.tally.acknowledged >= enough

        with suppress(TimeoutError):
            await eventually(_are, within_seconds=_FLOW_SECONDS)

    async def _sample(self, sender: SenderProcess) -> None:
        while True:
            self.course.tallies.append((self.course.seconds, replace(sender.tally)))
            with suppress(ReceiverError):
                stored = await count_items(self._mode.database_url)
                self.course.stored.append((self.course.seconds, stored))
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _durability_faults(self, probe: DurabilityProbe, when: str) -> list[str]:
        try:
            ports = self._mode.ports if self._mode.acknowledges_in_database else []
            faults = await probe.faults(self._mode.database_url, ports)
            faults += await self._mode.durability_faults()
        except (ReceiverError, OSError, EOFError) as error:
            faults = [f"the settings could not be read: {error}"]
        return [f"{when}: {fault}" for fault in faults]

    async def _converge_readers(self, follower: FeedFollower) -> None:
        """Wait until the follower of the feed has everything."""
        self.phase = "reading"
        stored = await read_stored(self._mode.database_url)
        items = len(stored.events) + len(stored.replies)

        read = -1
        while read < len(follower.reading.items) < items:
            read = len(follower.reading.items)

            async def _has_more(read: int = read) -> bool:
                return len(follower.reading.items) > read

            with suppress(TimeoutError):
                await eventually(_has_more, within_seconds=_QUIET_SECONDS)
        read = len(follower.reading.items)
        faults = [f"the feed gave {read} of {items} items"] if read < items else []
        self._add("feed-catches-up", faults, f"{items} items")

    async def _evidence(
        self, ledger: Path, probe: DurabilityProbe, follower: FeedFollower
    ) -> Evidence:
        """Read everything, restart everything, and compare that nothing has changed."""
        url, api = self._mode.database_url, self._mode.urls[0]
        stored = await read_stored(url)
        async with asyncio.timeout(_LONGEST_SECONDS):
            feed: FeedReading = await follower.read_all()
        view = await read_api(api, follower.key)
        analysts = await read_analysts_view(url)
        await self._verify_projections()
        self.phase = "restarting"
        before = await digests(url)
        faults = await self._mode.restart()
        after = await digests(url)
        faults += [f"{name} changed" for name in before if before[name] != after[name]]
        self._add("clean-restart-changes-nothing", faults)
        self.phase = "judging"
        sent = read_ledger(ledger)
        sent.accounts.update(probe.close().accounts)
        return Evidence(sent, stored, view, analysts, follower.reading, feed)

    async def _verify_projections(self) -> None:
        self.phase = "verifying"
        settings = self._settings | {"RECEIVER_DATABASE_URL": self._mode.database_url}
        try:
            faults = await verification_faults(self._options.build.command, settings)
        except TimeoutError:
            faults = ["it takes too long"]
        if faults is None:
            self._mode.left_out.append("no `rebuild --verify`: this build has no such command")
        else:
            self._add("rebuild-verifies", faults)

    async def _made_key(self) -> str:
        key = make_key()
        database = Database(
            self._mode.database_url,
            name="drill",
            pool_items=1,
            session_settings={"synchronous_commit": "on"},
        )
        scopes = frozenset({Scope.READ, Scope.ADMIN})
        await add_api_key(
            database, name="drill", sha256=digest(key), scopes=scopes, expires_at=None
        )
        await database.close()
        return key

    def _add(self, oracle: str, faults: Iterable[str], seen: str = "") -> None:
        self._findings.append(finding(oracle, faults, seen))


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder below *parent*, which is removed at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    folder.chmod(0o755)  # PostgreSQL runs under another account if this one is root
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _running(doing: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(doing)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) and sys.exc_info()[0] is None:
            raise error


def _whole_milliseconds(instant: datetime) -> datetime:
    return instant - timedelta(microseconds=instant.microsecond % 1000)
