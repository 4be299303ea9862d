"""What takes part in the comparison."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.bench.callbacks import Texts
from tests.bench.cluster import Cluster
from tests.bench.cost import Cost, cpu_seconds
from tests.bench.group import Say
from tests.bench.run import Counts, Run, Target, run


class Unavailable(Exception):
    """It cannot be had on this machine; the message says why."""


class Runner(Protocol):
    """A contender that is up."""

    async def run(self, seconds: int) -> Run:
        """Load it for so long."""


class House(NamedTuple):
    """Contenders that are started together."""

    #: What each is, by its name.
    says: Mapping[str, str]
    #: Starts them in an empty folder of their own. Raises `Unavailable`.
    opened: Callable[[Path, Say], AbstractAsyncContextManager[Mapping[str, Runner]]]

    @property
    def names(self) -> Sequence[str]:
        """The names of the contenders."""
        return tuple(self.says)


class Posted:
    """A contender that wrk posts to."""

    def __init__(self, target: Target, *, texts: Texts = Texts.HALF) -> None:
        self._target = target
        self._texts = texts

    async def run(self, seconds: int) -> Run:
        """See `Runner`."""
        return await run(self._target, seconds, texts=self._texts)


class Server:
    """A target that is one process, with a PostgreSQL or without."""

    def __init__(self, url: str, pid: int, cluster: Cluster | None = None) -> None:
        self._url = url
        self._pid = pid
        self._cluster = cluster

    @property
    def url(self) -> str:
        """See `Target`."""
        return self._url

    def cost(self) -> Cost:
        """See `Target`."""
        postgres = self._cluster.cpu_seconds() if self._cluster else 0.0
        return Cost(cpu_seconds(self._pid), postgres)

    async def counts(self) -> Counts:
        """See `Target`."""
        return {"rows": await self._cluster.rows_at_rest()} if self._cluster else {}
