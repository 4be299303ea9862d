"""The composition root: builds every object, once. Importing it does nothing."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import httpx
import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.api.application import make_api, with_fast_reads
from app.api.compression import Compressed
from app.api.feed_json import feed_json
from app.api.http_protocol import ENDING
from app.api.middleware import Counted, HangUps, HeadRequests, NoStore, Ports, RawPath, RequestIds
from app.api.parts import OperationsParts, Parts
from app.api.receiver import CallbackReceiver
from app.api.request_bodies import RequestBodies
from app.buffer.connection import Buffer
from app.db.bi.roll_up import roll_up_events
from app.db.bi.view_settings import ViewSettings, write_view_settings
from app.db.count_folding import CountFolding
from app.db.database import READ_SETTINGS, Database
from app.db.ingest import IngestSession
from app.domain.api_key import Scope
from app.domain.callback_token import CallbackTokens
from app.domain.erasure import ErasureKeys
from app.domain.masking import SecretMask
from app.domain.retention import Retention, retention_of_days
from app.errors import ConfigurationError, DatabaseUnavailable, SchemaNewer
from app.kit.service_manager import keeping_alive
from app.kit.shutdown import Ending, end_with_parent, ending_gracefully
from app.kit.slices import Slices
from app.observability import tracing
from app.observability.logs import configure_logs
from app.observability.metrics import POOLS, Metrics
from app.observability.processes import find_place
from app.routee.client import RouteeClient
from app.routee.preflight import Prober
from app.routee.repeats import Repeats
from app.services.bi import AnalystWatch, ReceivedCounts
from app.services.buffer.storing import STORE_SECONDS, BatchStorage
from app.services.buffer.watch import CHECKED_EVERY as BUFFER_CHECKED_EVERY
from app.services.buffer.watch import BufferWatch
from app.services.buffer.worker import Worker
from app.services.callbacks.buffered_intake import BufferedIntake
from app.services.callbacks.intake import Intake
from app.services.callbacks.reading import Reader
from app.services.callbacks.screening import Screen
from app.services.callbacks.sources import LOOKED_UP_EVERY, CallbackSources
from app.services.callbacks.storing import Store
from app.services.current import CurrentMessages
from app.services.duties import Duty, performed
from app.services.epoch import EpochWatch
from app.services.erasure.erased_recipients import REFRESH_EVERY_SECONDS, ErasedRecipients
from app.services.erasure.erasures import Eraser
from app.services.exports.exports import Exports
from app.services.feed.pages import make_feed
from app.services.finishing import finish_due, measure_missing
from app.services.keyring import USES_RECORDED_EVERY, Keyring
from app.services.launching.attempts import Attempts
from app.services.launching.launches import Launches
from app.services.measuring import Measuring
from app.services.quarantine import Replays
from app.services.readiness import Readiness
from app.services.reconcile.reconciler import Reconciler, Say
from app.services.retention import PurgeJob
from app.settings import Settings, load_settings
from app.web.application import Dashboard, WithDashboard
from app.web.failures import SignInFailures
from app.web.parts import PageParts
from app.web.proxies import Proxies
from app.web.sessions import Sessions
from app.web.static_files import StaticFiles

log = structlog.get_logger()

#: On shutdown, for what does not wait for the network in a healthy process.
_CLOSE_SECONDS: Final = 2.0
#: Then, for what notices that its connection was cut.
_CUT_SECONDS: Final = 0.5
#: While this process stores nothing: the longest delay for what other processes have stored.
_IDLE_EVERY: Final = timedelta(seconds=15)
#: For the three generations; Python's defaults are 700, 10 and 10.
_GARBAGE_THRESHOLDS: Final = (10_000, 20, 50)
#: Lists that are read at once. In one tick of the event loop each may have rows to handle, which
#: takes 1 to 2 ms, so more of them would make callbacks wait longer.
READS_AT_ONCE: Final = 4
#: Pages of the dashboard that are read at once, and for how long a statement for one may run.
PAGES_AT_ONCE: Final = 2
_PAGE_SECONDS: Final = 2.0
#: Routee's tracking is not asked while callbacks lie in the buffer for longer.
_MAX_LAG_SECONDS: Final = 30.0
#: After which time a thread that works, as for an export, lets the event loop go on; Python's
#: default is 5 ms.
_THREAD_SECONDS: Final = 0.001


def create_app() -> ASGIApp:
    """
    The service with the settings of this process's environment.

    Raises:
        SettingsInvalid: a setting is unusable.
        ConfigurationError: a setting is missing.
    """
    end_with_parent()
    settings = load_settings()
    configure_logs(
        log_format=settings.log_format,
        level=settings.log_level,
        mask=SecretMask(settings.all_secrets()),
    )
    app = build_app(settings, Metrics(find_place()))
    _collect_garbage_rarely()
    sys.setswitchinterval(_THREAD_SECONDS)
    return app


def build_app(settings: Settings, metrics: Metrics | None = None) -> ASGIApp:
    """
    The service as an ASGI application. Connections are opened when it is started or first used.

    Raises:
        ConfigurationError: a setting is missing.
    """
    if not settings.database_url:
        raise ConfigurationError(
            "RECEIVER_DATABASE_URL is not set. Without it, only `routee-receiver serve` runs a "
            "PostgreSQL of its own."
        )
    settings.require_callback_secrets()
    # Before all that opens connections. Traced callbacks go through ASGI: the fast protocol knows a
    # receiver only if nothing is in front of it.
    traces = tracing.start(settings.traces_url)
    parts = _parts(settings, metrics or Metrics())
    app = _receiver(settings, parts, traces)
    return app if traces is None else tracing.Traced(app, traces)


def _receiver(settings: Settings, parts: Parts, traces: tracing.Tracing | None) -> ASGIApp:
    if settings.surface == "api":
        return _reads(settings, _api(settings, parts, intake=None), parts, traces)
    intake = _intake(settings, parts)
    return CallbackReceiver(
        _reads(settings, _api(settings, parts, intake=intake), parts, traces),
        intake=intake,
        tokens=parts.tokens,
        metrics=parts.metrics,
        max_body_bytes=settings.max_body_bytes,
        ack_budget_seconds=settings.ack_budget_seconds,
        sources=parts.sources,
        ports_of_others={settings.api_port, settings.operations_port} - {None},
    )


def make_replays(
    settings: Settings, database: Database, erased: ErasedRecipients, metrics: Metrics, *, url: str
) -> Replays:
    """What replays the quarantine of *database*, which is at *url*."""
    store = Store(
        _ingest_session(settings, url), metrics, screen=Screen(erased, retention_of(settings))
    )
    return Replays(
        database,
        _reader(settings, metrics),
        store,
        metrics,
        erasure_keys=ErasureKeys(settings.keys_for_erasure()),
        budget_seconds=settings.ack_budget_seconds,
    )


def _ingest_session(settings: Settings, url: str) -> IngestSession:
    return IngestSession(url, statement_timeout_seconds=settings.ack_budget_seconds)


def _reader(settings: Settings, metrics: Metrics) -> Reader:
    return Reader(
        metrics,
        mask=SecretMask(settings.secrets_known_to_routee()),
        max_body_bytes=settings.max_body_bytes,
    )


def _intake(settings: Settings, parts: Parts) -> Intake | BufferedIntake:
    store = Store(
        _ingest_session(settings, settings.database_url),
        parts.metrics,
        screen=Screen(parts.erased, retention_of(settings)),
        flushes=None if parts.buffer else parts.readiness.flushes,
    )
    budget_seconds = settings.ack_budget_seconds
    reader = _reader(settings, parts.metrics)
    direct = Intake(reader, store, parts.metrics, ack_budget_seconds=budget_seconds)
    if parts.buffer is None:
        return direct
    return BufferedIntake(
        parts.buffer,
        direct,
        parts.metrics,
        flushes=parts.readiness.flushes,
        ack_budget_seconds=budget_seconds,
    )


def buffer_of(settings: Settings, *, name: str) -> Buffer | None:
    """The buffer of *settings*, for a process *name*, not connected; None in direct mode."""
    if not settings.buffer_url:
        return None
    return Buffer(
        settings.buffer_url,
        stream=settings.buffer_stream,
        max_bytes=settings.buffer_max_bytes,
        monitor_urls=settings.monitor_urls_of_buffer(),
        is_unsafe_allowed=settings.buffer_unsafe,
        name=f"routee-receiver {name}",
    )


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[tuple[Worker, ASGIApp]]:
    """
    A worker with what it needs while it runs, in this block; its buffer is found to be durable.

    With it comes an application with the probes and metrics of this process.

    Raises:
        ConfigurationError: RECEIVER_BUFFER_URL is not set, or the buffer is not durable.
        BufferUnavailable: it does not answer.
    """
    buffer = buffer_of(settings, name="work")
    if buffer is None:
        raise ConfigurationError(
            "RECEIVER_BUFFER_URL is not set, so there is nothing to do: `serve` stores directly."
        )
    traces = tracing.start(settings.traces_url)
    database, metrics = Database(settings.database_url, name="work", pool_items=2), Metrics()
    readiness = Readiness(database)
    erased = ErasedRecipients(ErasureKeys(settings.keys_for_erasure()))
    session = IngestSession(settings.database_url, statement_timeout_seconds=STORE_SECONDS)
    store = Store(
        session,
        metrics,
        screen=Screen(erased, retention_of(settings)),
        flushes=readiness.flushes,
    )
    worker = Worker(buffer, BatchStorage(_reader(settings, metrics), store, metrics), metrics)
    second = timedelta(seconds=1)
    epoch = EpochWatch(database, [erased.forget, store.forget])
    learn_erased = partial(erased.refresh, database)
    duties = [
        Duty("keep the feed's epoch", second, epoch.poll, _IDLE_EVERY),
        Duty("learn erased recipients", REFRESH_EVERY_SECONDS * second, learn_erased, _IDLE_EVERY),
        Duty(
            "count what was received by day", 10 * second, ReceivedCounts(database, metrics).write
        ),
    ]
    metrics.expect_duties(duty.name for duty in duties)
    try:
        await buffer.start()
        async with performed(
            *duties,
            stored=lambda: metrics.storing.total,
            noted=metrics.note_duty,
        ):
            operations = make_api(operations_only=True)
            mask = SecretMask(settings.all_secrets())
            operations.state.parts = OperationsParts(metrics, readiness, mask)
            yield worker, HeadRequests(operations)
    finally:
        await buffer.close()
        await store.close()
        await database.close()
        if traces is not None:
            await traces.aclose()


def _reads(
    settings: Settings, api: FastAPI, parts: Parts, traces: tracing.Tracing | None
) -> ASGIApp:
    """*api* with what all its routes share; the ports are those that *settings* name."""
    routes: ASGIApp = api if settings.surface == "callbacks" else with_fast_reads(api)
    if traces is not None:
        routes = tracing.Routed(routes, traces)
    of_ports: dict[str, Any] = {
        "operations_port": settings.operations_port,
        "api_port": settings.api_port,
        "has_operations": settings.surface != "callbacks",
    }
    ports = Ports(Counted(routes, parts.metrics), **of_ports)
    bodies: ASGIApp = RequestBodies(ports, parts.keyring, is_served=ports.serves)
    if settings.surface != "callbacks":
        bodies = WithDashboard(bodies, Ports(_dashboard(settings, parts), **of_ports))
    answering = Compressed(bodies)
    return RequestIds(HangUps(RawPath(HeadRequests(NoStore(answering)))))


def _dashboard(settings: Settings, parts: Parts) -> Dashboard:
    # Any secret of the deployment will do: all its processes have the same.
    secrets = settings.signing_keys or settings.callback_secrets
    return Dashboard(
        PageParts(
            database=parts.database,
            reads=parts.pages,
            keyring=parts.keyring,
            routee=parts.routee,
            replays=parts.replays,
            readiness=parts.readiness,
            mask=parts.mask,
            sessions=Sessions([secret.get_secret_value() for secret in secrets]),
            failures=SignInFailures(),
            files=StaticFiles(),
            proxies=Proxies(settings.trusted_proxies, header=settings.ui_trusted_header),
            scopes_of_persons=frozenset(map(Scope, settings.ui_trusted_scopes)),
            receives_callbacks=settings.surface != "api",
            currency=settings.currency,
            clock=partial(datetime.now, UTC),
        )
    )


def _collect_garbage_rarely() -> None:
    """
    Exempt the objects that live as long as the process, and examine the others less often.

    A full collection visits every request that waits for the feed. With 500 of them and Python's
    default thresholds, collections took a tenth of the time of a busy process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)


def retention_of(settings: Settings) -> Retention:
    """The retention periods of *settings*."""
    return retention_of_days(
        raw=settings.retention_raw_days,
        events=settings.retention_events_days,
        messages=settings.retention_messages_days,
        inbound=settings.retention_inbound_days,
    )


def view_settings_of(settings: Settings) -> ViewSettings:
    """What *settings* say of the views for analysts."""
    return ViewSettings(
        mask_labels=settings.bi_mask_labels,
        currency=settings.currency or None,
        opt_out_words=settings.bi_opt_out_words,
    )


def tracking_client_of(settings: Settings, metrics: Metrics) -> RouteeClient:
    """A client for tracking reads, which repeats nothing itself."""
    return RouteeClient(
        api_url=settings.routee_api_url,
        auth_url=settings.routee_auth_url,
        application_id=settings.routee_application_id,
        application_secret=settings.routee_application_secret.get_secret_value(),
        repeats=Repeats(attempts=1),
        mask=SecretMask(settings.all_secrets()),
        metrics=metrics,
    )


def reconciler_of(  # noqa: PLR0913 (what a process has already)
    settings: Settings,
    database_url: str,
    client: RouteeClient,
    metrics: Metrics,
    erased: ErasedRecipients,
    *,
    slices: Slices | None = None,
    say: Say = lambda _: None,
) -> Reconciler:
    """What compares the database of *database_url* with Routee's tracking."""
    return Reconciler(
        database_url,
        client,
        metrics,
        Screen(erased, retention_of(settings)),
        per_second=settings.reconcile_requests_per_second,
        missing_settings=settings.missing_for_reconciling(),
        slow_seconds=settings.ack_budget_seconds / 2,
        slices=slices,
        say=say,
    )


def _parts(settings: Settings, metrics: Metrics) -> Parts:
    database = Database(settings.database_url)
    erasure_keys = ErasureKeys(settings.keys_for_erasure())
    # Without keys no erased recipient is recognised, but a warning says that there are some.
    erased = ErasedRecipients(erasure_keys)
    read_url = settings.database_read_url or settings.database_url
    slices = Slices()
    buffer = None if settings.surface == "api" else buffer_of(settings, name="serve")
    if not settings.buffer_url:  # what is never set is not shown if several processes count
        for gauge in (metrics.buffer_messages, metrics.buffer_bytes, metrics.buffer_lag_seconds):
            gauge.set(0)
    mask = SecretMask(settings.all_secrets())
    tokens = CallbackTokens(
        secrets=[secret.get_secret_value() for secret in settings.callback_secrets],
        signing_keys=[key.get_secret_value() for key in settings.signing_keys],
    )
    client = RouteeClient(
        api_url=settings.routee_api_url,
        auth_url=settings.routee_auth_url,
        application_id=settings.routee_application_id,
        application_secret=settings.routee_application_secret.get_secret_value(),
        mask=mask,
        metrics=metrics,
    )
    tracking = tracking_client_of(settings, metrics)
    launching = Launches(
        database,
        Attempts(
            database,
            client,
            tokens,
            public_url=settings.public_url,
            erased=erased,
            metrics=metrics,
        ),
        Prober(ssl_context=httpx.create_ssl_context(trust_env=False)),
        missing_settings=settings.missing_for_launching(),
        erased=erased,
        mask=mask,
    )
    reads = Database(
        read_url, name="reads", pool_items=READS_AT_ONCE, session_settings=READ_SETTINGS
    )
    metrics.sample_by(metrics.erasure_keys_missing, lambda: erased.missing_keys)
    pages = Database(
        read_url,
        name="dashboard",
        pool_items=PAGES_AT_ONCE,
        session_settings=READ_SETTINGS,
        statement_timeout_seconds=_PAGE_SECONDS,
    )
    for label, pool in zip(POOLS, (database, reads, pages), strict=True):
        metrics.pool_size.labels(label).set(pool.pool_items)
        metrics.sample_by(metrics.pool_in_use.labels(label), partial(_in_use, pool))
    return Parts(
        database=database,
        reads=reads,
        pages=pages,
        current=CurrentMessages(reads),
        feed=make_feed(
            read_url,
            metrics,
            render=partial(feed_json, slices=slices),
            busy_pages_per_second=settings.feed_pages_per_second,
        ),
        exports=Exports(read_url),
        keyring=Keyring(database),
        launching=launching,
        routee=client,
        tokens=tokens,
        mask=mask,
        metrics=metrics,
        erased=erased,
        erasing=Eraser(settings.database_url, erasure_keys),
        replays=make_replays(settings, database, erased, metrics, url=settings.database_url),
        reconciling=reconciler_of(
            settings, settings.database_url, tracking, metrics, erased, slices=slices
        ),
        tracking=tracking,
        readiness=Readiness(
            database,
            Ending(drain_seconds=settings.drain_seconds),
            buffer=None if buffer is None else BufferWatch(buffer, database, metrics),
        ),
        buffer=buffer,
        sources=sources_of(settings),
        slices=slices,
    )


def sources_of(settings: Settings) -> CallbackSources | None:
    """From where callbacks are taken; None: from everywhere, or nowhere."""
    if not settings.callback_sources or settings.surface == "api":
        return None
    return CallbackSources(settings.callback_sources, trusted=settings.trusted_proxies)


def _in_use(database: Database) -> int:
    return database.connections_in_use


def _analyst_watch(settings: Settings, parts: Parts) -> AnalystWatch:
    databases = [parts.database, parts.reads] if settings.database_read_url else [parts.database]
    longest = timedelta(seconds=settings.bi_max_seconds)
    return AnalystWatch(*databases, metrics=parts.metrics, longest=longest)


def _epoch_watch(
    parts: Parts, intake: Intake | BufferedIntake | None, folding: CountFolding
) -> EpochWatch:
    """Knows all that remembers something of the database."""
    remembering = (parts.keyring, parts.feed, parts.erased, folding, parts.replays)
    forget = [one.forget for one in remembering]
    return EpochWatch(parts.database, forget if intake is None else [*forget, intake.forget])


def _is_behind(parts: Parts, intake: Intake | BufferedIntake | None) -> Callable[[], bool]:
    """Whether callbacks of this process wait or cannot be stored, or lie in the buffer for long."""
    buffer = parts.readiness.buffer
    return lambda: (
        parts.readiness.flushes.is_failing
        or (intake is not None and intake.is_behind)
        or (buffer is not None and buffer.lag_seconds() > _MAX_LAG_SECONDS)
    )


def _unless_newer(
    database: Database, do: Callable[[], Awaitable[object]]
) -> Callable[[], Awaitable[None]]:
    """*do*, left out while the schema is newer: it may have tables that *do* does not reach."""

    async def _done() -> None:
        with suppress(SchemaNewer):
            await database.require_schema()
            await do()

    return _done


def _duties(settings: Settings, parts: Parts, intake: Intake | BufferedIntake | None) -> list[Duty]:
    database, second = parts.database, timedelta(seconds=1)
    retaining = PurgeJob(settings.database_url, retention_of(settings))
    roll_up = partial(roll_up_events, database)
    show = partial(write_view_settings, database, view_settings_of(settings))
    learn_erased = partial(parts.erased.refresh, database)
    watch = _analyst_watch(settings, parts)
    received = ReceivedCounts(database, parts.metrics)
    folding = CountFolding(database)
    epoch = _epoch_watch(parts, intake, folding)
    replica = parts.reads if settings.database_read_url else None
    measuring = Measuring(database, replica, parts.metrics)
    duties = [
        Duty("fold counts", second, folding.fold, _IDLE_EVERY),
        Duty("roll up events for BI", 2 * second, roll_up, _IDLE_EVERY),
        Duty("keep the feed's epoch", second, epoch.poll, _IDLE_EVERY),
        Duty("measure the feed", second, parts.feed.measure, _IDLE_EVERY),
        Duty("learn erased recipients", REFRESH_EVERY_SECONDS * second, learn_erased, _IDLE_EVERY),
        Duty("finish campaigns", 5 * second, partial(finish_due, database), _IDLE_EVERY),
        Duty(
            "erase recipients",
            2 * second,
            _unless_newer(database, partial(parts.erasing.perform_asked, database)),
        ),
        Duty("repeat launches", 5 * second, parts.launching.relaunch_due),
        Duty("end long queries of analysts", 10 * second, watch.poll),
        Duty("write the settings of the views", 10 * second, show),
        Duty(
            "count missing statuses", 60 * second, partial(measure_missing, database, parts.metrics)
        ),
        Duty("count what was received by day", 10 * second, received.write),
        Duty("measure this process", second, measuring.sample),
        Duty("measure the database", 15 * second, measuring.perform),
        Duty("record the keys' use", USES_RECORDED_EVERY, parts.keyring.record_uses),
        Duty("forget idempotency keys", timedelta(hours=1), parts.launching.forget_old_keys),
        Duty("add partitions", timedelta(hours=6), retaining.add_months),
    ]
    if parts.readiness.buffer is not None:
        duties.append(Duty("watch the buffer", BUFFER_CHECKED_EVERY, parts.readiness.buffer.poll))
    if parts.sources is not None and parts.sources.has_names:
        duties.append(
            Duty("look up the sources of callbacks", LOOKED_UP_EVERY, parts.sources.look_up)
        )
    if not parts.reconciling.missing_settings:
        is_behind = _is_behind(parts, intake)
        reconciling = partial(parts.reconciling.perform, database, is_behind=is_behind)
        duties.append(Duty("reconcile with Routee's tracking", 5 * second, reconciling))
    if not retention_of(settings).is_unlimited:
        # How often it is checked whether the last run was a day ago.
        purge = _unless_newer(database, retaining.run_daily)
        duties.append(Duty("purge", timedelta(minutes=10), purge))
    return duties


def _api(settings: Settings, parts: Parts, *, intake: Intake | BufferedIntake | None) -> FastAPI:
    duties = _duties(settings, parts, intake)
    parts.metrics.expect_duties(duty.name for duty in duties)

    @asynccontextmanager
    async def _lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        at_work, ending = AsyncExitStack(), parts.readiness.ending
        if parts.readiness.buffer is not None:
            await parts.readiness.buffer.begin()
        await at_work.enter_async_context(keeping_alive())
        if parts.sources is not None:
            await parts.sources.look_up()
        with ending_gracefully(ending, parts.feed.release):
            await at_work.enter_async_context(
                performed(
                    *duties,
                    stored=lambda: parts.metrics.storing.total,
                    noted=parts.metrics.note_duty,
                )
            )
            yield {ENDING: ending}
        await _close_in_time(parts, intake, at_work)

    app = make_api(operations_only=settings.surface == "callbacks", lifespan=_lifespan)
    app.state.parts = parts
    return app


async def _close_in_time(
    parts: Parts, intake: Intake | BufferedIntake | None, at_work: AsyncExitStack
) -> None:
    """Close everything; a server that does not answer is not waited for."""
    closing = asyncio.create_task(_close(parts, intake, at_work))
    await asyncio.wait({closing}, timeout=_CLOSE_SECONDS)
    if not closing.done():
        log.warning("the database does not answer: its connections are cut")
        for connected in (parts.database, parts.reads, parts.pages, parts.feed):
            connected.cut()
        closing.cancel()
        await asyncio.wait({closing}, timeout=_CUT_SECONDS)
    if closing.done() and not closing.cancelled():
        closing.result()


async def _close(
    parts: Parts, intake: Intake | BufferedIntake | None, at_work: AsyncExitStack
) -> None:
    await at_work.aclose()
    if intake is not None:
        await intake.close()
    await parts.replays.close()
    await parts.routee.aclose()
    await parts.tracking.aclose()
    await parts.feed.close()
    await parts.current.close()
    await parts.reads.close()
    await parts.pages.close()
    with suppress(DatabaseUnavailable):
        await parts.keyring.record_uses()
    await parts.database.close()
