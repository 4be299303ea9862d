"""Traces of all workers, until the end of `serve`."""

import pytest

from tests.promises.conftest import StartService
from tests.promises.load import stories

pytest.importorskip("opentelemetry.sdk", reason="the extra `tracing` is not installed")

from tests.observability.otlp import attributes_of, collecting


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
async def test_what_was_traced_is_sent_before_the_process_ends(
    start_service: StartService, workers: int
) -> None:
    with collecting() as collector:
        settings = {
            "RECEIVER_TRACES_URL": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "OTEL_SERVICE_NAME": "receiver-of-the-shop",
        }
        service = await start_service(workers=workers, settings=settings)
        sender = service.sender(connections=8)
        await sender.send_all(stories("m", 40))
        assert sender.statuses == {200}
        code, _ = await service.end()
        assert code == 0
        requests = [span for span in collector.spans if span.name.startswith("POST /callbacks/")]
        flushes = [span for span in collector.spans if span.name == "store callbacks"]
        assert len(requests) == len(sender.answers)
        stored = sum(int(attributes_of(flush)["routee_receiver.bodies"]) for flush in flushes)
        assert stored == len(requests)
        assert collector.resource["service.name"] == "receiver-of-the-shop"
        assert "error" not in service.log.read_text().lower()
