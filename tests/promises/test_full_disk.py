"""A full disk refuses callbacks, loses none that it took, and is over once there is room."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.sandbox.processes import RECEIVER, eventually
from tests.promises.stage import SECRET, Service

_ROOT_ONLY = os.geteuid() != 0 or not shutil.which("mount")
_MEGABYTE = 1024**2
_PAYLOAD = json.loads((Path(__file__).parents[1] / "payloads" / "progress.json").read_text())
_BODIES_AT_ONCE = 20

pytestmark = [pytest.mark.slow, pytest.mark.skipif(_ROOT_ONLY, reason="needs root, to mount")]


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A data directory of its own, which grows by `mount -o remount,size=…`."""
    disk = folder / "data"
    disk.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "size=260m", "tmpfs", str(disk))
    try:
        yield disk
    finally:
        _run("umount", "--lazy", str(disk))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 (fixed commands)


def _says_full(log: str) -> bool:
    """Whether the log names the cause: of an embedded server that ended, or of a statement."""
    return "No space left on device" in log or "no space left on its disk" in log


async def _output_of(service: Service, *command: str) -> str:
    """What a command of the service prints."""
    own = {name: value for name, value in os.environ.items() if "RECEIVER_" not in name}
    process = await asyncio.create_subprocess_exec(
        *(*RECEIVER, *command),
        env=own | service.settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return output.decode()


async def test_a_full_disk_is_seen_and_cured_as_the_runbook_says(
    small_disk: Path, folder: Path
) -> None:
    service = Service("", folder, settings={"RECEIVER_DATA_DIR": str(small_disk)})
    url = f"{service.url}/callbacks/{SECRET}/status"
    taken: list[str] = []
    number = 0

    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:

        async def _posted() -> int:
            nonlocal number
            number += _BODIES_AT_ONCE
            texts = {f"m-{number + i}": os.urandom(9000).hex() for i in range(_BODIES_AT_ONCE)}
            bodies = [
                _PAYLOAD | {"trackingId": name, "label": text} for name, text in texts.items()
            ]
            answer = await client.post(url, json=bodies)
            if answer.is_success:
                taken.extend(texts)
            return answer.status_code

        async def _stored() -> bool:
            return await _posted() == 200

        async def _full() -> bool:
            is_refused = await _posted() == 503
            is_ready = (await client.get(f"{service.url}/readyz")).is_success
            return is_refused and not is_ready and _says_full(service.log.read_text())

        try:
            await service.start()
            await eventually(_stored)
            filler = small_disk / "filler"
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 2 * _MEGABYTE))
            await eventually(_full)
            assert "FAULT   disk 0.0 of 0.3 GB free" in await _output_of(
                service, "doctor", "--only", "disk"
            )
            _run("mount", "-o", "remount,size=600m", str(small_disk))
            await service.is_well()
            await eventually(_stored)
            assert "the database answers again" in service.log.read_text()
            created = await _output_of(service, "api-key", "create", "--name", "tests")
            key = created.splitlines()[-1]
            for first in range(0, len(taken), 1000):
                found = await client.post(
                    f"{service.url}/v1/messages/lookup",
                    json={"trackingIds": taken[first : first + 1000]},
                    headers={"Authorization": f"Bearer {key}"},
                )
                assert found.json()["notFound"] == []
        finally:
            if service.is_running:
                await service.end()  # with the embedded server, which `kill` would leave behind
