"""What `routee-receiver work` serves at its operations port, which has few of the parts."""

import httpx

from app.api.application import make_api
from app.api.parts import OperationsParts
from app.db.database import Database
from app.domain.masking import SecretMask
from app.observability.metrics import Metrics
from app.services.readiness import Readiness


async def test_a_worker_answers_probes_and_shows_its_metrics(url: str) -> None:
    database = Database(url, pool_items=1)
    readiness = Readiness(database)
    api = make_api(operations_only=True)
    api.state.parts = OperationsParts(Metrics(), readiness, SecretMask())
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        assert (await client.get("/livez")).json() == {"result": "alive"}
        assert (await client.get("/readyz")).json() == {"result": "ready", "buffer": None}
        assert "receiver_buffer_batches_total" in (await client.get("/metrics")).text
        for _ in range(2):
            readiness.flushes.note_failure()
        assert (await client.get("/readyz")).status_code == 503
    await database.close()
