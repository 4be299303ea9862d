import httpx
import pytest
from fastapi import FastAPI

from app.api.middleware import Counted
from app.observability.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


async def test_requests_are_counted_by_the_template_of_their_route(metrics: Metrics) -> None:
    api = FastAPI()

    @api.get("/v1/things/{name}")
    async def get_thing(name: str) -> str:
        return name

    transport = httpx.ASGITransport(Counted(api, metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        await client.get("/v1/things/a")
        await client.get("/v1/things/b")
        await client.get("/v1/whatever/a")
        await client.post("/v1/elsewhere")
        await client.get("/elsewhere")
    text = metrics.exposition().decode()
    route = 'method="GET",route="/v1/things/{name}"'
    assert f'receiver_api_requests_total{{{route},status="200"}} 2.0' in text
    assert f"receiver_api_seconds_count{{{route}}} 2.0" in text
    assert 'receiver_api_requests_total{method="any",route="none",status="404"} 2.0' in text
