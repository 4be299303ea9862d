"""Operations at a port of their own, for several workers, until the end."""

import httpx
import pytest

from tests.promises.conftest import StartService
from tests.promises.load import stories

OPERATIONS = ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"]


@pytest.mark.parametrize(
    ("surface", "workers"),
    [pytest.param("callbacks", 2, marks=pytest.mark.slow), ("callbacks", 1), ("all", 1)],
)
async def test_operations_have_a_port_of_their_own(
    start_service: StartService, surface: str, workers: int
) -> None:
    service = await start_service(workers=workers, surface=surface, has_operations_port=True)
    async with httpx.AsyncClient(timeout=10) as client:
        for path in OPERATIONS:
            assert (await client.get(f"{service.operations_url}{path}")).status_code == 200
            assert (await client.get(f"{service.url}{path}")).status_code == 404
        read = "/v1/messages/x"
        expected = 404 if surface == "callbacks" else 401
        assert (await client.get(f"{service.url}{read}")).status_code == expected
        assert (await client.get(f"{service.operations_url}{read}")).status_code == 404
        if surface != "api":
            sender = service.sender(connections=4)
            await sender.send_all(stories("m", 10))
            assert sender.statuses == {200}
        await service.end()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{service.operations_url}/livez")
