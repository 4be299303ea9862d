from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.buffer.servers import objections_to_servers
from app.buffer.stream import Backlog, backlog_of, objections_to, servers_of

_INFO: dict[str, Any] = {
    "config": {
        "name": "callbacks",
        "subjects": ["callbacks"],
        "retention": "workqueue",
        "max_bytes": 1_000_000,
        "max_age": 0,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "discard": "new",
        "storage": "file",
        "num_replicas": 3,
    },
    "state": {"messages": 2, "bytes": 80, "first_ts": "2026-11-30T21:43:36.684961880Z"},
    "cluster": {
        "leader": "n1",
        "replicas": [
            {"name": "n2", "active": 900_000_000, "current": True},
            {"name": "n3", "active": 3_100_000_000, "current": True},
            {"name": "n4", "current": True, "offline": True},
            {"name": "n5", "current": False},
            {"name": "n6", "active": 900_000_000, "current": False},
            {"name": "n7", "current": True},
        ],
    },
}
_SURE: dict[str, list[str]] = {"n1": [], "n2": [], "n3": []}


def _info(**changes: object) -> dict[str, Any]:
    return {**_INFO, "config": _INFO["config"] | changes}


def test_a_durable_stream_meets_no_objection() -> None:
    assert objections_to(_INFO) == []
    assert objections_to(_info(num_replicas=5, persist_mode="default")) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("storage", "memory"),
        ("num_replicas", 1),
        ("num_replicas", 2),
        ("discard", "old"),
        ("max_bytes", -1),
        ("retention", "limits"),
        ("retention", "interest"),
        ("max_age", 60_000_000_000),
        ("max_msgs_per_subject", 1000),
        ("no_ack", True),
        ("persist_mode", "async"),
        ("max_msg_size", 1000),
        ("subjects", ["others.>"]),
    ],
)
def test_each_setting_that_could_lose_a_callback_is_objected_to(
    setting: str, value: object
) -> None:
    (objection,) = objections_to(_info(**{setting: value}))
    assert objection.startswith(f"{setting} of the stream callbacks")


def test_the_servers_of_a_stream_are_its_leader_and_its_replicas() -> None:
    assert servers_of(_INFO) == {
        "n1": True,
        "n2": True,
        "n3": False,
        "n4": False,
        "n5": False,
        "n6": True,
        "n7": True,
    }
    assert servers_of({**_INFO, "cluster": {"leader": "n1"}}) == {"n1": True}
    assert servers_of({**_INFO, "cluster": None}) == {}


def test_each_server_that_is_online_has_to_be_verified() -> None:
    online = {"n1": True, "n2": True, "n3": True}
    assert objections_to_servers(online, _SURE) == []
    (unknown,) = objections_to_servers(online, {"n1": [], "n2": []})
    assert "the server n3" in unknown
    assert "RECEIVER_BUFFER_MONITOR_URLS" in unknown
    assert objections_to_servers(online, _SURE | {"n2": ["it is slow"]}) == ["it is slow"]


def test_one_of_three_servers_may_be_offline_and_unknown_but_not_two() -> None:
    assert objections_to_servers({"n1": True, "n2": True, "n3": False}, {"n1": [], "n2": []}) == []
    (objection,) = objections_to_servers({"n1": True, "n2": False, "n3": False}, {"n1": []})
    assert "only 1 of the stream's 3 servers" in objection


def test_the_backlog_is_as_old_as_its_oldest_message() -> None:
    backlog = backlog_of(_INFO)
    at = datetime(2026, 11, 30, 21, 43, 36, 684961, tzinfo=UTC)
    assert backlog == Backlog(2, 80, at)
    assert backlog.age_seconds(at + timedelta(seconds=5)) == 5
    assert backlog.age_seconds(at - timedelta(seconds=5)) == 0
    empty = {"messages": 0, "bytes": 0, "first_ts": "0001-01-01T00:00:00Z"}
    assert backlog_of({**_INFO, "state": empty}) == Backlog(0, 0, None)
