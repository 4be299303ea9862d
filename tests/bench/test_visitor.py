"""What a visitor of the bench loads, of the real service."""

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import (
    Service,
    fast_service,
    loop,
    routee,
    routee_urls,
    service,
    shared_url,
)
from tests.bench.visitor import visiting

__all__ = ["fast_service", "loop", "routee", "routee_urls", "service", "shared_url"]

_MAX_FIRST_VISIT_BYTES = 60_000


async def test_a_first_visit_loads_each_file_once_and_little(service: Service) -> None:
    _, key = service.add_key(Scope.READ)
    async with visiting(service.url) as visitor:
        await visitor.sign_in(key)
        sizes = await visitor.first_visit("/ui/")
    names = [address.rpartition("/")[2].partition(".")[0] for address in sizes]
    assert {"style", "icon", "live", "morphdom-2"} <= set(names)
    assert len(names) == len(set(names))
    assert sum(sizes.values()) <= _MAX_FIRST_VISIT_BYTES


async def test_an_unknown_key_is_no_sign_in(service: Service) -> None:
    async with visiting(service.url) as visitor:
        with pytest.raises(PermissionError):
            await visitor.sign_in("unknown")
