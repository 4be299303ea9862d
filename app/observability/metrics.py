"""The metrics: what is counted and measured, and under which names."""

import platform
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import product
from typing import Final, Literal, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric

from app.domain.quarantine import Reason, ReplayOutcome
from app.domain.received import Measure
from app.domain.reconcile import Outcome
from app.domain.settlement import AttemptOutcome
from app.kit.throughput import Throughput
from app.observability.processes import Place

_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_FLUSH_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5)
#: Routee repeats what is not answered within 2 s.
_ANSWER_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0)
_API_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)
_LAG_SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400, 172_800)
#: An event that comes so long after it happened is late.
_LATE_SECONDS: Final = 3600.0

CALLBACK_KINDS: Final = ("status", "inbound")
_DURABLE: Final = ("stored", "quarantined", "buffered")
#: What callbacks are answered, as far as their URL is one.
CALLBACK_RESULTS: Final = (
    *(*_DURABLE, "ready", "not-stored"),
    *("forbidden-source", "method-not-allowed", "too-large", "too-slow", "incomplete"),
)
NO_KIND: Final = ("none", "not-found")
ROUTEE_OPERATIONS: Final = ("token", "launch", "delete", "track-message", "track-campaign")
ROUTEE_OUTCOMES: Final = ("ok", "refused", "access-refused", "throttled", "failed", "unanswered")
TOKEN_OUTCOMES: Final = ("renewed", "refused", "failed")
POOLS: Final = ("api", "reads", "dashboard")

#: The metric from which the age of the newest callback is made when it is asked for.
_NEWEST: Final = "receiver_newest_callback_timestamp_seconds"

disable_created_metrics()  # type: ignore[no-untyped-call]


class BulkHistogram(Histogram):
    """A histogram without labels that takes many values at once: then each costs little."""

    def observe_many(self, values: Sequence[float]) -> None:
        """Observe all *values*."""
        tally = Tally(bisect_left(self._upper_bounds, value) for value in values)
        for bucket, times in tally.items():
            self._buckets[bucket].inc(times)
        self._sum.inc(sum(values))

    def times(self) -> dict[str, int]:
        """How many values this process has observed in each bucket, by its upper end."""
        return {
            f"{bound:g}": int(bucket.get())
            for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True)
        }


class Metrics:
    """The metrics of one process, which shows those of all that count at *place* and around it."""

    def __init__(self, place: Place | None = None) -> None:
        self._place = place
        self.registry = CollectorRegistry()
        #: The rate at which callbacks are stored; reads give way to it.
        self.storing = Throughput()
        self._sampled: list[tuple[Gauge, Callable[[], float]]] = []
        self._newest = 0.0
        self._define_callbacks()
        self._define_stored()
        self._define_launching()
        self._define_duties()
        self._define_reads()
        if place is None:
            ProcessCollector(registry=self.registry)

    def _define_callbacks(self) -> None:
        counter, gauge, histogram = self._kinds()
        self.callbacks = counter(
            "receiver_callbacks",
            "Requests to the callback URLs, by the URL's kind and what they were answered.",
            ["kind", "result"],
        )
        _zero(self.callbacks, CALLBACK_KINDS, CALLBACK_RESULTS)
        self.callbacks.labels(*NO_KIND)
        self._durable = {
            self.callbacks.labels(*labels) for labels in product(CALLBACK_KINDS, _DURABLE)
        }
        self.answer_seconds = BulkHistogram(
            "receiver_answer_seconds",
            "Time from a whole posted callback to its answer, whatever that is.",
            buckets=_ANSWER_SECONDS,
            registry=self.registry,
        )
        self._newest_callback = gauge(
            _NEWEST, "When the newest callback was made durable.", multiprocess_mode="max"
        )
        self.pending_items = gauge(
            "receiver_pending_items", "Bodies waiting for their commit.", multiprocess_mode="sum"
        )
        self.batch_items = histogram(
            "receiver_batch_items",
            "Records (not bodies) that one flush stored.",
            buckets=_BATCH_SIZES,
        )
        self.flush_seconds = histogram(
            "receiver_flush_seconds", "Duration of one flush.", buckets=_FLUSH_SECONDS
        )
        self.flush_failures = counter(
            "receiver_flush_failures",
            "Flushes that failed, by the error; some of their records may be stored.",
            ["error"],
        )
        errors = ("DatabaseUnavailable", "BufferUnavailable", "TooLate", "unexpected")
        _zero(self.flush_failures, errors)
        self.buffer_batches = counter(
            "receiver_buffer_batches",
            "Batches that this process took from the buffer, by outcome (stored, postponed).",
            ["outcome"],
        )
        _zero(self.buffer_batches, ("stored", "postponed"))
        self.buffer_messages = gauge(
            "receiver_buffer_messages", "Batches in the buffer that are not yet stored."
        )
        self.buffer_bytes = gauge("receiver_buffer_bytes", "Size of the batches in the buffer.")
        self.buffer_lag_seconds = gauge(
            "receiver_buffer_lag_seconds", "Age of the oldest batch in the buffer."
        )

    def _define_stored(self) -> None:
        counter, gauge, _ = self._kinds()
        self.records = counter(
            "receiver_records",
            "Events, replies and campaign progress, by kind and outcome (fresh, duplicate).",
            ["kind", "outcome"],
        )
        _zero(self.records, ("event", "inbound", "campaign-progress"), ("fresh", "duplicate"))
        self.provider_lag_seconds = BulkHistogram(
            "receiver_provider_lag_seconds",
            "Time from an event, as Routee dates it, to its commit; repetitions included.",
            buckets=_LAG_SECONDS,
            registry=self.registry,
        )
        self.late_events = counter(
            "receiver_late_events", "Events that came more than an hour after they had happened."
        )
        self.quarantined = counter(
            "receiver_quarantined", "Bodies put into the quarantine, by reason.", ["reason"]
        )
        _zero(self.quarantined, Reason)
        self.quarantine_bodies = gauge(
            "receiver_quarantine_bodies",
            "Bodies in the quarantine, by reason; of the newest 100,000.",
            ["reason"],
        )
        _zero(self.quarantine_bodies, Reason)
        self.quarantine_replayed = counter(
            "receiver_quarantine_replayed",
            "Bodies of the quarantine that were replayed, by what became of them.",
            ["outcome"],
        )
        _zero(self.quarantine_replayed, ReplayOutcome)
        self.oddities = counter(
            "receiver_oddities", "Stored callbacks with something unusual, by what it is.", ["kind"]
        )
        _zero(
            self.oddities, ("unknown-status", "unknown-field", "unknown-time", "array", "envelope")
        )
        self.records_failed = counter(
            "receiver_records_failed",
            "Bodies or records that met an unforeseen error alone, by step (read, screen, store).",
            ["step"],
        )
        _zero(self.records_failed, ("read", "screen", "store"))

    def _define_launching(self) -> None:
        counter, gauge, _ = self._kinds()
        self.launches = counter(
            "receiver_launches", "Attempts to launch campaigns, by Routee's answer.", ["outcome"]
        )
        _zero(self.launches, map(launch_outcome, AttemptOutcome))
        self.launches_unconfirmed = gauge(
            "receiver_launches_unconfirmed", "Launches that Routee may or may not have accepted."
        )
        self.launches_unconfirmed_age_seconds = gauge(
            "receiver_launches_unconfirmed_age_seconds", "Age of the oldest unconfirmed launch."
        )
        self.campaign_copies = counter(
            "receiver_campaign_copies",
            "Campaigns with the callback URLs of another one: copied in Routee's console.",
        )
        self.routee_requests = counter(
            "receiver_routee_requests",
            "Requests to Routee, by operation and outcome.",
            ["operation", "outcome"],
        )
        _zero(self.routee_requests, ROUTEE_OPERATIONS, ROUTEE_OUTCOMES)
        self.routee_token_refreshes = counter(
            "receiver_routee_token_refreshes", "Access tokens asked for, by outcome.", ["outcome"]
        )
        _zero(self.routee_token_refreshes, TOKEN_OUTCOMES)
        self.reconciled = counter(
            "receiver_reconciled",
            "Campaigns that were compared with Routee's tracking, by outcome.",
            ["outcome"],
        )
        _zero(self.reconciled, Outcome)
        self.awaited_messages = gauge(
            "receiver_awaited_messages",
            "Expected messages without a final status, of campaigns of the last 60 days that are "
            "not finished.",
        )
        self.overdue_messages = gauge(
            "receiver_overdue_messages",
            "Expected messages without a final status, of campaigns of the last 60 days that are "
            "finished.",
        )

    def _define_duties(self) -> None:
        counter, gauge, _ = self._kinds()
        self.duty_failures = counter(
            "receiver_duty_failures", "Repeated work that failed, by duty; it goes on.", ["duty"]
        )
        self.duty_last_success = gauge(
            "receiver_duty_last_success_timestamp_seconds",
            "When repeated work last succeeded, by duty; before that, when the process started.",
            ["duty"],
            multiprocess_mode="max",
        )
        self.roll_up_pending_events = gauge(
            "receiver_roll_up_pending_events",
            "Events that are not in the roll-ups for analysts yet; at most 100,000.",
        )
        self.postgresql_outdated = gauge(
            "receiver_postgresql_outdated",
            "1 if PostgreSQL has holes that a newer minor version closes.",
        )
        self.erasure_keys_missing = gauge(
            "receiver_erasure_keys_missing",
            "Keys that recipients were erased with, and that are not set any more.",
            multiprocess_mode="max",
        )
        self.database_bytes = gauge("receiver_database_bytes", "Size of the database.")
        self.replica_lag_seconds = gauge(
            "receiver_replica_lag_seconds",
            "Age of what RECEIVER_DATABASE_READ_URL shows; 0 without one.",
        )
        self.pool_in_use = gauge(
            "receiver_database_pool_in_use",
            "Connections to the database in use, by pool.",
            ["pool"],
            multiprocess_mode="sum",
        )
        self.pool_size = gauge(
            "receiver_database_pool_size",
            "Connections that may be in use at most, by pool.",
            ["pool"],
            multiprocess_mode="sum",
        )
        _zero(self.pool_in_use, POOLS)
        _zero(self.pool_size, POOLS)
        build = gauge("receiver_build_info", "1, with the version.", ["version", "python"], "max")
        build.labels(version("routee-receiver"), platform.python_version()).set(1)

    def _define_reads(self) -> None:
        counter, gauge, histogram = self._kinds()
        self.api_requests = counter(
            "receiver_api_requests",
            "Requests to the API, by method, route and HTTP status.",
            ["method", "route", "status"],
        )
        self.api_seconds = histogram(
            "receiver_api_seconds",
            "Time from a request to the API to the beginning of its answer, by method and route.",
            ["method", "route"],
            buckets=_API_SECONDS,
        )
        self.feed_waiting = gauge(
            "receiver_feed_waiting",
            "Clients that wait for the next item of the feed.",
            multiprocess_mode="sum",
        )
        self.feed_pages_delayed = counter(
            "receiver_feed_pages_delayed",
            "Pages for waiting clients that were delayed in favour of callbacks.",
        )
        self.feed_held_back_seconds = gauge(
            "receiver_feed_held_back_seconds",
            "Age of the oldest writing transaction of the cluster, which holds the feed back.",
        )
        self.feed_held_back_transactions = gauge(
            "receiver_feed_held_back_transactions",
            "Transactions begun since the oldest writing one that still runs: the age of xmin.",
        )
        self.bi_sessions_ended = counter(
            "receiver_bi_sessions_ended",
            "Analysts' sessions that exceeded their limits, by how they ended.",
            ["how"],
        )
        _zero(self.bi_sessions_ended, ("cancelled", "terminated"))

    def _kinds(
        self,
    ) -> tuple[Callable[..., Counter], Callable[..., Gauge], Callable[..., Histogram]]:
        def _gauge(
            name: str, text: str, labels: Sequence[str] = (), multiprocess_mode: str = "mostrecent"
        ) -> Gauge:
            mode = cast('Literal["max", "sum", "mostrecent"]', multiprocess_mode)
            return Gauge(name, text, labels, multiprocess_mode=mode, registry=self.registry)

        return (
            partial(Counter, registry=self.registry),
            _gauge,
            partial(Histogram, registry=self.registry),
        )

    def note_answers(self, answers: Sequence[tuple[Counter, float | None]]) -> None:
        """Count *answers* to callbacks, each with the seconds that it took if it was posted."""
        tally = Tally(counter for counter, _ in answers)
        for counter, times in tally.items():
            counter.inc(times)
        if not self._durable.isdisjoint(tally):
            self.note_newest(time.time())
        self.answer_seconds.observe_many([taken for _, taken in answers if taken is not None])

    def refused(self) -> int:
        """How many callbacks this process has answered that they are not stored."""
        return sum(
            int(sample.value)
            for metric in self.callbacks.collect()
            for sample in metric.samples
            if sample.labels["result"] == "not-stored"
        )

    def note_flushed(self, items: int, seconds: float) -> None:
        """Note a flush that made so many *items* durable."""
        self.batch_items.observe(items)
        self.storing.add(items)
        self.flush_seconds.observe(seconds)

    def note_newest(self, at: float) -> None:
        """Note that a callback was made durable *at* a time of the system's clock."""
        self._newest = max(self._newest, at)

    def note_lags(self, seconds: Sequence[float]) -> None:
        """Note how long ago events happened that were just stored."""
        self.provider_lag_seconds.observe_many([max(0.0, each) for each in seconds])
        if late := sum(each > _LATE_SECONDS for each in seconds):
            self.late_events.inc(late)

    def expect_duties(self, names: Iterable[str]) -> None:
        """Show duties that this process is about to perform."""
        for name in names:
            self.duty_failures.labels(name)
            self.duty_last_success.labels(name).set(time.time())

    def note_duty(self, name: str, is_done: bool) -> None:  # noqa: FBT001 (called by position)
        """Note how a duty ended."""
        if is_done:
            self.duty_last_success.labels(name).set(time.time())
        else:
            self.duty_failures.labels(name).inc()

    def sample_by(self, gauge: Gauge, measure: Callable[[], float]) -> None:
        """Let *gauge* show what *measure* gives, which must be cheap, at each `sample`."""
        self._sampled.append((gauge, measure))

    def sample(self) -> None:
        """Measure what other processes are to show of this one."""
        for gauge, measure in self._sampled:
            gauge.set(measure())
        self._newest_callback.set(self._newest)

    def received(self) -> dict[tuple[str, str], int]:
        """How many records this process has received, by kind and outcome."""
        return {
            (sample.labels["kind"], sample.labels["outcome"]): int(sample.value)
            for metric in self.records.collect()
            for sample in metric.samples
            if sample.name == "receiver_records_total"
        }

    def received_lately(self) -> dict[tuple[Measure, str], int]:
        """What this process has counted of the callbacks that it received, by measure."""
        counted: dict[tuple[Measure, str], int] = Tally()
        for metric in self.callbacks.collect():
            for sample in metric.samples:
                counted[Measure.ANSWER, sample.labels["result"]] += int(sample.value)
        for (_, outcome), records in self.received().items():
            counted[Measure.RECORD, outcome] += records
        for measure, histogram in (
            (Measure.ANSWER_SECONDS, self.answer_seconds),
            (Measure.PROVIDER_LAG_SECONDS, self.provider_lag_seconds),
        ):
            for bucket, times in histogram.times().items():
                counted[measure, bucket] = times
        return counted

    def collect(self) -> Iterator[Metric]:
        """All metrics, those of the processes around included."""
        self.sample()
        families = self.registry.collect() if self._place is None else self._place.families()
        for family in families:
            yield _age_of_newest(family) if family.name == _NEWEST else family

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(cast("CollectorRegistry", self))


def launch_outcome(outcome: AttemptOutcome) -> str:
    """The label for *outcome*."""
    return outcome.name.lower().replace("_", "-")


def _zero(metric: Counter | Gauge, *values: Iterable[str]) -> None:
    """Show *metric* with 0 for each combination of *values* of its labels."""
    for labels in product(*values):
        metric.labels(*labels)


def _age_of_newest(family: Metric) -> Metric:
    """The age, made of the time: so it grows while nothing comes, whoever is asked for it."""
    newest = max(sample.value for sample in family.samples)
    age = Metric(
        "receiver_newest_callback_age_seconds",
        "Time since a callback was last made durable; NaN if none is known.",
        "gauge",
    )
    seconds = max(0.0, time.time() - newest) if newest else float("nan")
    age.add_sample(age.name, {}, seconds)
    return age
