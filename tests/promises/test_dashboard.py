"""The dashboard for operators and the alerts, in a Prometheus that scrapes a running service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml

from app.sandbox.processes import HOST, eventually, free_port
from tests.observability.test_alerts import PROMETHEUS, program, queries, rules
from tests.promises.conftest import StartService
from tests.promises.load import endless
from tests.promises.stage import posting


@asynccontextmanager
async def _prometheus(folder: Path, target: str) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus that scrapes *target* each second, with our alerts."""
    port = free_port()
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(PROMETHEUS / "alerts.yml")],
                "scrape_configs": [
                    {"job_name": "routee-receiver", "static_configs": [{"targets": [target]}]}
                ],
            }
        )
    )
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}/api/v1", trust_env=False
        ) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def _is_answered(client: httpx.AsyncClient, query: str) -> bool:
    """Whether *query* has a result by now: some metrics are measured once a minute."""
    try:
        document = (await client.get("/query", params={"query": query})).json()
    except (httpx.HTTPError, ValueError):
        return False
    assert document.get("status") == "success", document
    return bool(document["data"]["result"])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_dashboard_asks_a_real_prometheus_what_it_can_answer(
    start_service: StartService, tmp_path: Path
) -> None:
    program("prometheus")
    service = await start_service(workers=2)
    sender = service.sender()
    target = service.url.removeprefix("http://")
    async with posting(sender, endless("m")), _prometheus(tmp_path, target) as client:
        async with httpx.AsyncClient(trust_env=False) as caller:  # a route is shown once it is used
            await caller.get(f"{service.url}/v1/messages")
        for query in queries():
            if " > 0" not in query:
                await eventually(partial(_is_answered, client, query), within_seconds=150)
        groups = (await client.get("/rules")).json()["data"]["groups"]
    health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert health == {rule["alert"]: "ok" for rule in rules()}
