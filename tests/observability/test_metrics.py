import math
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.observability.metrics import Metrics
from tests.released.names import metric_names

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
#: | `name{labels}` | type | what it is and what to do |
_ROW = re.compile(r"^\| `([a-z_]+)(?:\{([a-z_,]+)\})?` \| ([a-z]+) \|", re.MULTILINE)


def _samples(metrics: Metrics) -> Mapping[str, float]:
    text = metrics.exposition().decode()
    return {
        sample.name + "".join(sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_table_for_operators_has_each_metric_with_its_type_and_labels() -> None:
    defined = {
        (name, ",".join(metric["labels"]), metric["type"])
        for name, metric in metric_names().items()
    }
    assert set(_ROW.findall(PAGE.read_text(encoding="utf-8"))) == defined


def test_prometheus_finds_no_fault_with_the_metrics() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, which Debian's package prometheus has")
    metrics = Metrics()
    metrics.expect_duties(["work"])
    checked = subprocess.run(  # noqa: S603
        [promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_what_is_known_ahead_begins_at_zero() -> None:
    samples = _samples(Metrics())
    for name in (
        "receiver_callbacks_totalnot-storedstatus",
        "receiver_callbacks_totalinboundstored",
        "receiver_quarantined_totalnot-json",
        "receiver_records_totalduplicateevent",
        "receiver_routee_requests_totallaunchunanswered",
        "receiver_launches_totalunanswered",
        "receiver_launches_unconfirmed",
        "receiver_answer_seconds_count",
    ):
        assert samples[name] == 0, name


def test_answers_are_counted_together() -> None:
    metrics = Metrics()
    stored = metrics.callbacks.labels("status", "stored")
    refused = metrics.callbacks.labels("status", "not-stored")
    metrics.note_answers([(stored, 0.001), (stored, 2.0), (refused, 3.0), (refused, None)])
    samples = _samples(metrics)
    assert samples["receiver_callbacks_totalstatusstored"] == 2
    assert samples["receiver_answer_seconds_bucket0.005"] == 1
    assert samples["receiver_answer_seconds_bucket2.0"] == 2
    assert samples["receiver_answer_seconds_bucket+Inf"] == samples["receiver_answer_seconds_count"]
    assert samples["receiver_answer_seconds_sum"] == pytest.approx(5.001)


def test_the_age_of_the_newest_callback_grows_until_one_is_durable() -> None:
    metrics, age = Metrics(), "receiver_newest_callback_age_seconds"
    assert math.isnan(_samples(metrics)[age])
    metrics.note_newest(time.time() - 100)
    assert _samples(metrics)[age] >= 100
    metrics.note_answers([(metrics.callbacks.labels("status", "not-stored"), 0.1)])
    assert _samples(metrics)[age] >= 100
    metrics.note_answers([(metrics.callbacks.labels("status", "stored"), 0.1)])
    assert _samples(metrics)[age] < 100


def test_an_event_of_hours_ago_is_late_and_one_of_the_future_is_not() -> None:
    metrics = Metrics()
    metrics.note_lags([-5.0, 1.0, 7200.0])
    samples = _samples(metrics)
    assert samples["receiver_late_events_total"] == 1
    assert samples["receiver_provider_lag_seconds_count"] == 3
    assert samples["receiver_provider_lag_seconds_bucket0.5"] == 1


def test_a_duty_that_has_not_succeeded_shows_when_its_process_began() -> None:
    metrics = Metrics()
    metrics.expect_duties(["work"])
    began = _samples(metrics)["receiver_duty_last_success_timestamp_secondswork"]
    assert began == pytest.approx(time.time(), abs=60)
    metrics.note_duty("work", False)  # noqa: FBT003
    samples = _samples(metrics)
    assert samples["receiver_duty_last_success_timestamp_secondswork"] == began
    assert samples["receiver_duty_failures_totalwork"] == 1
