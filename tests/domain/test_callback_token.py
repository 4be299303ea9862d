from uuid import uuid4

import pytest

from app.domain.callback_token import ANYWHERE, CallbackTokens, Origin

SECRET = "s" * 32
KEY, OLD_KEY = "k" * 32, "o" * 32
TOKENS = CallbackTokens(secrets=[SECRET], signing_keys=[KEY, OLD_KEY])


def test_a_configured_secret_opens_everything() -> None:
    assert TOKENS.find_origin(SECRET) is ANYWHERE


def test_the_token_of_a_campaign_opens_that_campaign() -> None:
    campaign_id = uuid4()
    assert TOKENS.find_origin(TOKENS.for_campaign(campaign_id)) == Origin(campaign_id)


def test_a_token_signed_with_the_key_before_still_opens() -> None:
    campaign_id = uuid4()
    old = CallbackTokens(secrets=[], signing_keys=[OLD_KEY]).for_campaign(campaign_id)
    assert TOKENS.find_origin(old) == Origin(campaign_id)


def test_the_signature_of_one_campaign_does_not_open_another() -> None:
    signature = TOKENS.for_campaign(uuid4()).partition(".")[2]
    assert TOKENS.find_origin(f"{uuid4()}.{signature}") is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        SECRET[:-1],
        SECRET + "s",
        "01890000-0000-7000-8000-000000000000.",
        f"01890000-0000-7000-8000-000000000000.{'0' * 64}",
        "é\udcff.x",
        "{}.x",
    ],
)
def test_anything_else_opens_nothing(token: str) -> None:
    assert TOKENS.find_origin(token) is None


def test_one_spelling_of_a_token_is_the_only_one() -> None:
    token = TOKENS.for_campaign(uuid4())
    assert TOKENS.find_origin(token.upper()) is None
    assert TOKENS.find_origin(token.replace("-", "", 1) + "0") is None
