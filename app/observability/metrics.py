"""The metrics: what is counted and measured, and under which names."""

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
        self.callbacks = Counter(
            "receiver_callbacks",
            "Requests to the callback URLs, by the answer's HTTP status.",
            ["status"],
            registry=self.registry,
        )
        self.records = Counter(
            "receiver_records",
            "Events and inbound messages, by kind and outcome (fresh, duplicate).",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.quarantined = Counter(
            "receiver_quarantined",
            "Bodies in the quarantine, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.oddities = Counter(
            "receiver_oddities",
            "Stored callbacks with something unusual, by what it is.",
            ["kind"],
            registry=self.registry,
        )
        self.campaign_copies = Counter(
            "receiver_campaign_copies",
            "Campaigns with the callback URLs of another one: copied in Routee's console.",
            registry=self.registry,
        )
        self.batch_items = Histogram(
            "receiver_batch_items",
            "Items that one flush stored.",
            buckets=_BATCH_SIZES,
            registry=self.registry,
        )
        self.flush_seconds = Histogram(
            "receiver_flush_seconds",
            "Duration of one flush.",
            buckets=_FLUSH_SECONDS,
            registry=self.registry,
        )
        self.flush_failures = Counter(
            "receiver_flush_failures",
            "Flushes that stored nothing, by the error.",
            ["error"],
            registry=self.registry,
        )
        self.pending_items = Gauge(
            "receiver_pending_items",
            "Items waiting for their commit.",
            registry=self.registry,
        )
        self.feed_waiting = Gauge(
            "receiver_feed_waiting",
            "Clients that wait for the next item of the feed.",
            registry=self.registry,
        )
        self.feed_pages_delayed = Counter(
            "receiver_feed_pages_delayed",
            "Pages for waiting clients that were delayed in favour of callbacks.",
            registry=self.registry,
        )
        self.feed_held_back_seconds = Gauge(
            "receiver_feed_held_back_seconds",
            "Age of the oldest writing transaction of the cluster, which holds the feed back.",
            registry=self.registry,
        )
        self.feed_held_back_transactions = Gauge(
            "receiver_feed_held_back_transactions",
            "Transactions begun since the oldest writing one that still runs: the age of xmin.",
            registry=self.registry,
        )
        self.bi_sessions_ended = Counter(
            "receiver_bi_sessions_ended",
            "Analysts' sessions that exceeded their limits, by how they ended.",
            ["how"],
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
