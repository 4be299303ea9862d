"""The metrics: what is counted and measured, and under which names."""

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.kit.throughput import Throughput

_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_FLUSH_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        #: The rate at which callbacks are stored; reads give way to it.
        self.storing = Throughput()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.callbacks = counter(
            "receiver_callbacks",
            "Requests to the callback URLs, by the answer's HTTP status.",
            ["status"],
        )
        self.records = counter(
            "receiver_records",
            "Events, replies and campaign progress, by kind and outcome (fresh, duplicate).",
            ["kind", "outcome"],
        )
        self.quarantined = counter(
            "receiver_quarantined", "Bodies in the quarantine, by reason.", ["reason"]
        )
        self.quarantine_replayed = counter(
            "receiver_quarantine_replayed",
            "Bodies of the quarantine that were replayed, by what became of them.",
            ["outcome"],
        )
        self.oddities = counter(
            "receiver_oddities", "Stored callbacks with something unusual, by what it is.", ["kind"]
        )
        self.campaign_copies = counter(
            "receiver_campaign_copies",
            "Campaigns with the callback URLs of another one: copied in Routee's console.",
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
        self.records_failed = counter(
            "receiver_records_failed",
            "Bodies or records that met an unforeseen error alone, by step (read, screen, store).",
            ["step"],
        )
        self.duty_failures = counter(
            "receiver_duty_failures", "Repeated work that failed, by duty; it goes on.", ["duty"]
        )
        self.buffer_batches = counter(
            "receiver_buffer_batches",
            "Batches that this process took from the buffer, by outcome (stored, postponed).",
            ["outcome"],
        )
        self.buffer_messages = gauge(
            "receiver_buffer_messages", "Batches in the buffer that are not yet stored."
        )
        self.buffer_bytes = gauge("receiver_buffer_bytes", "Size of the batches in the buffer.")
        self.buffer_lag_seconds = gauge(
            "receiver_buffer_lag_seconds", "Age of the oldest batch in the buffer."
        )
        self.pending_items = gauge("receiver_pending_items", "Bodies waiting for their commit.")
        self.overdue_messages = gauge(
            "receiver_overdue_messages",
            "Expected messages without a final status, of campaigns of the last 60 days that are "
            "finished.",
        )
        self.reconciled = counter(
            "receiver_reconciled",
            "Campaigns that were compared with Routee's tracking, by outcome.",
            ["outcome"],
        )
        self.feed_waiting = gauge(
            "receiver_feed_waiting", "Clients that wait for the next item of the feed."
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

    def received(self) -> dict[tuple[str, str], int]:
        """How many records this process has received, by kind and outcome."""
        return {
            (sample.labels["kind"], sample.labels["outcome"]): int(sample.value)
            for metric in self.records.collect()
            for sample in metric.samples
            if sample.name == "receiver_records_total"
        }

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
