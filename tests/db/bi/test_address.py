import pytest

from app.db.bi.address import address, on_localhost, socket_folder_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://s:kept@db:6432/r", "postgresql://powerbi:a%2Fb%3A%25@db:6432/r"),
        (
            "postgresql://s:kept@a:1,b:2/r?target_session_attrs=any&user=s&password=kept",
            "postgresql://powerbi:a%2Fb%3A%25@a:1,b:2/r?target_session_attrs=any",
        ),
        (
            "postgresql://s:kept@/r?host=%2Ftmp%2Fx&port=5433&sslkey=%2Fk",
            "postgresql://powerbi:a%2Fb%3A%25@/r?host=%2Ftmp%2Fx&port=5433",
        ),
    ],
)
def test_the_way_is_the_services_and_the_account_the_analysts(url: str, expected: str) -> None:
    assert address(url, user="powerbi", password="a/b:%", database="r") == expected


def test_a_port_on_this_machine_takes_the_place_of_the_socket() -> None:
    url = "postgresql://s:kept@/r?host=%2Ftmp%2Fx&port=5433"
    assert on_localhost(url, 5433) == "postgresql://127.0.0.1:5433/r"
    assert socket_folder_of(url) == "/tmp/x"  # noqa: S108
    assert socket_folder_of("postgresql://db/r") is None
