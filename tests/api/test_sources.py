"""RECEIVER_CALLBACK_SOURCES and RECEIVER_TRUSTED_PROXIES, on sockets, with either protocol."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.api.conftest import Loop, Service, progress, running

Make = Callable[..., Service]


@pytest.fixture
def make(loop: Loop, shared_url: str, fast_protocol: bool) -> Iterator[Make]:  # noqa: FBT001
    with ExitStack() as stack:

        def _make(*sources: str, proxies: tuple[str, ...] = ()) -> Service:
            settings = {"callback_sources": sources, "trusted_proxies": proxies}
            return stack.enter_context(
                running(loop, shared_url, fast_protocol=fast_protocol, **settings)
            )

        yield _make


def _status(service: Service, token: str | None = None, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    options = {} if token is None else {"token": token}
    return service.post(progress(), headers=named, **options).status_code


def test_callbacks_of_others_get_403_whatever_their_token(make: Make) -> None:
    service = make("192.0.2.0/24")
    refusal = service.post(progress())
    assert refusal.status_code == 403
    assert refusal.json()["type"].endswith("forbidden-source")
    assert _status(service, token="guessed" * 5) == 403
    assert _status(service, X_Forwarded_For="192.0.2.1") == 403
    assert service.client.get(f"/callbacks/{'x' * 40}/status").status_code == 403
    # Nothing else is limited, and a URL that is none is not found.
    assert service.client.get("/livez").status_code == 200
    assert service.client.get("/callbacks/nothing").status_code == 404
    metrics = service.client.get("/metrics").text
    assert 'receiver_callbacks_total{kind="status",result="forbidden-source"} 4.0' in metrics


def test_a_trusted_proxy_says_who_calls(make: Make) -> None:
    service = make("192.0.2.0/24", proxies=("127.0.0.0/8",))
    assert _status(service) == 403
    assert _status(service, X_Forwarded_For="192.0.2.1") == 200
    assert _status(service, Forwarded="for=192.0.2.1;proto=https") == 200
    assert _status(service, X_Forwarded_For="192.0.2.1, 198.51.100.9") == 403
    assert _status(service, X_Forwarded_For="198.51.100.9", Forwarded="for=192.0.2.1") == 403


def test_a_host_name_is_looked_up_before_the_first_callback(make: Make) -> None:
    service = make("localhost")
    assert _status(service) == 200


def test_a_name_that_cannot_be_looked_up_makes_routee_repeat(make: Make) -> None:
    service = make("nowhere.invalid", "192.0.2.1")
    answer = service.post(progress())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
