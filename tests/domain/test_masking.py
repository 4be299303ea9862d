import pytest

from app.domain.masking import mask_callback_urls, mask_number

SECRET = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4_-~x"


@pytest.mark.parametrize(
    "text",
    [
        f"https://host/callbacks/{SECRET}/inbound",
        f'{{"inboundUrl":"https:\\/\\/host\\/callbacks\\/{SECRET}\\/inbound"}}',
        f'{{"inboundUrl":"https:\\u002f\\u002fhost\\u002fcallbacks\\u002f{SECRET}\\u002finbound"}}',
        f"https%3A%2F%2Fhost%2Fcallbacks%2F{SECRET}%2Finbound",
        f"/callbacks/01a20921-8794-7924-9021-d8658f6eb8ed.{SECRET}",
        f"one /callbacks/{SECRET}/status and another /callbacks/{SECRET}/inbound",
    ],
)
def test_no_token_is_left_in_a_text(text: str) -> None:
    masked = mask_callback_urls(text)
    assert SECRET not in masked
    assert "***" in masked


def test_other_text_stays_as_it_is() -> None:
    assert mask_callback_urls("callbacks are fine: https://host/other") == (
        "callbacks are fine: https://host/other"
    )


def test_three_digits_of_a_number_can_be_read() -> None:
    assert mask_number("+306912345678") == "***678"
    assert mask_number("112") == "***"
