import httpx
import pytest
import structlog
from fastapi import FastAPI
from structlog.testing import LogCapture

from app.api.middleware import RequestIds
from app.api.problems import register_problems
from app.errors import NotFound


@pytest.fixture
def lines() -> LogCapture:
    return LogCapture()


@pytest.fixture
def api(lines: LogCapture) -> FastAPI:
    api = FastAPI()
    register_problems(api)

    @api.get("/thing")
    async def get_thing() -> None:
        log = structlog.wrap_logger(None, [structlog.contextvars.merge_contextvars, lines])
        log.info("asked")
        raise NotFound

    return api


async def _answer(api: FastAPI, *given: str) -> httpx.Response:
    transport = httpx.ASGITransport(RequestIds(api))
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        return await client.get("/thing", headers=[("X-Request-ID", each) for each in given])


async def test_the_id_of_a_request_is_in_its_answer_its_problem_and_its_log_lines(
    api: FastAPI, lines: LogCapture
) -> None:
    answer = await _answer(api, "trace-1.a_b~C")
    assert answer.headers["x-request-id"] == "trace-1.a_b~C"
    assert answer.json()["requestId"] == "trace-1.a_b~C"
    assert lines.entries[0]["request_id"] == "trace-1.a_b~C"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a/../b"])
async def test_an_id_that_could_harm_or_none_is_replaced(api: FastAPI, given: str) -> None:
    first, second = await _answer(api, given), await _answer(api)
    ids = {first.headers["x-request-id"], second.headers["x-request-id"]}
    assert len(ids) == 2
    assert given not in ids
    assert all(each.isalnum() and len(each) == 32 for each in ids)
