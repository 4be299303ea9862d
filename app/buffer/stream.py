"""The only file that knows how the stream of the buffer is configured, and what is refused."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from app.kit.instants import parse_instant

REPLICAS: Final = 3
#: What a NATS server takes by default, and a message of ours may need.
MESSAGE_BYTES: Final = 1024 * 1024
#: A server that the leader has not heard from for so long acknowledges nothing now.
_SILENT_NANOSECONDS: Final = 3_000_000_000


class Backlog(NamedTuple):
    """What is in the buffer and not yet known to be in PostgreSQL."""

    messages: int
    octets: int
    #: When the oldest of them came into the buffer; None if there are none.
    oldest_at: datetime | None

    def age_seconds(self, now: datetime) -> float:
        """The age of the oldest message at *now*."""
        return max(0.0, (now - self.oldest_at).total_seconds()) if self.oldest_at else 0.0


#: What a configuration must fulfil, and what to say if it does not: `name` is the setting.
_RULES: Final[Sequence[tuple[str, Callable[[Any], bool], str]]] = (
    ("storage", lambda storage: storage == "file", "must be file: memory does not outlive a crash"),
    (
        "num_replicas",
        lambda replicas: replicas >= REPLICAS,
        "must be 3 or more: an acknowledged batch must outlive a server",
    ),
    ("discard", lambda discard: discard == "new", "must be new: old would drop the oldest batches"),
    ("max_bytes", lambda octets: octets > 0, "must be set, or the stream fills the disks"),
    ("retention", lambda kind: kind == "workqueue", "must be workqueue: kept until it is stored"),
    ("max_age", lambda age: not age, "must be 0: batches would expire before they are stored"),
    (
        "max_msgs_per_subject",
        lambda messages: messages <= 0,
        "must be unlimited: the oldest batches would be dropped",
    ),
    ("no_ack", lambda no_ack: not no_ack, "must be false: nothing would be acknowledged"),
    (
        "persist_mode",
        lambda mode: mode in ("", "default"),
        "must be default: async acknowledges before the disk has it",
    ),
    (
        "max_msg_size",
        lambda octets: octets <= 0 or octets >= MESSAGE_BYTES,
        f"must be unlimited, or at least {MESSAGE_BYTES}",
    ),
)
#: What a field means that the server does not send.
_DEFAULTS: Final[Mapping[str, object]] = {
    "max_age": 0,
    "max_bytes": -1,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "no_ack": False,
    "num_replicas": 1,
    "persist_mode": "",
}


def wanted_stream(name: str, *, max_bytes: int, replicas: int = REPLICAS) -> StreamConfig:
    """The configuration of a durable stream *name*, whose only subject has the same name."""
    return StreamConfig(
        name=name,
        subjects=[name],
        description="Callbacks that are acknowledged and not yet stored in PostgreSQL",
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_bytes=max_bytes,
        num_replicas=replicas,
    )


def objections_to(info: Mapping[str, Any]) -> list[str]:
    """Why the stream that *info* describes, an answer of JetStream, must not be relied on."""
    config = info["config"]
    name = config["name"]
    found = []
    for setting, is_right, rule in _RULES:
        value = config.get(setting, _DEFAULTS.get(setting))
        if not is_right(value):
            found.append(f"{setting} of the stream {name} is {value!r} and {rule}")
    if name not in config.get("subjects", ()):
        found.append(f"subjects of the stream {name} must contain {name}")
    return found


def backlog_of(info: Mapping[str, Any]) -> Backlog:
    """What the stream that *info* describes holds."""
    state = info["state"]
    oldest_at = parse_instant(state["first_ts"]) if state["messages"] else None
    return Backlog(state["messages"], state["bytes"], oldest_at)


def servers_of(info: Mapping[str, Any]) -> dict[str, bool]:
    """
    The names of the servers that hold the stream of *info*, and whether each is online.

    The leader hears from the others each second, and calls one offline after a minute only. One
    that it has not heard from since it leads has no time, and is not current.
    """
    cluster = info.get("cluster") or {}
    peers = {peer["name"]: _is_online(peer) for peer in cluster.get("replicas") or ()}
    leader = cluster.get("leader")
    return {leader: True, **peers} if leader else peers


def _is_online(peer: Mapping[str, Any]) -> bool:
    silent_nanoseconds = peer.get("active", 0)
    was_heard = bool(silent_nanoseconds or peer.get("current"))
    return was_heard and silent_nanoseconds < _SILENT_NANOSECONDS and not peer.get("offline")
