"""Secrets are found by their value, in whatever letters and escapes they are spelt."""

import html
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.masking import SecretMask, mask_callback_urls, mask_number

SECRET = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4_-~x"
TOKEN = "01a20921-8794-7924-9021-d8658f6eb8ed." + "0f1e2d3c4b5a6978" * 4
MASK = SecretMask([SECRET])


def percent(text: str) -> str:
    return "".join(f"%{ord(one):02x}" for one in text)


def wide(text: str) -> str:
    """In letters of full width."""
    return "".join(chr(ord(one) + 0xFEE0) for one in text)


def mathematical(text: str) -> str:
    """Small letters from beyond the basic plane, escaped as JSON does."""
    bold = "".join(chr(ord(one) - 97 + 0x1D41A) if "a" <= one <= "z" else one for one in text)
    return json.dumps(bold)[1:-1]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "capitals": str.upper,
    "JSON escapes": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "JSON escapes in capitals, one in three": lambda text: "".join(
        f"\\u{ord(one):04X}" if at % 3 == 0 else one for at, one in enumerate(text)
    ),
    "JSON in JSON": lambda text: "".join(f"\\\\u{ord(one):04x}" for one in text),
    "UTF-16 that is read as UTF-8": "\0".join,
    "UTF-32 that is read as UTF-8": "\0\0\0".join,
    "NULs that could not be stored": "\ufffd".join,
    "percent": percent,
    "percent of the first": lambda text: f"%{ord(text[0]):x}{text[1:]}",
    "percent, twice": lambda text: percent(text).replace("%", "%25"),
    "percent, four times": lambda text: percent(percent(percent(percent(text)))),
    "decimal entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "hexadecimal entities without semicolons": lambda text: (
        "".join(f"&#x{ord(one):04X}" for one in text) + " "
    ),
    "entities of the entities": lambda text: html.escape(
        "".join(f"&#x{ord(one):x};" for one in text)
    ),
    "named entities": lambda text: text.replace("_", "&lowbar;").replace(".", "&period;"),
    "full width": wide,
    "full width, percent": lambda text: quote(wide(text)),
    "full width, JSON": lambda text: json.dumps(wide(text))[1:-1],
    "mathematical letters": mathematical,
    "invisible characters": "\u200b".join,
    "backslashes": lambda text: text.replace("_", "\\_").replace(".", "\\."),
    "other dashes": lambda text: text.replace("-", "\u2010"),
    "JSON, then percent": lambda text: percent("".join(f"\\u{ord(one):04x}" for one in text)),
    "hexadecimal escapes": lambda text: "".join(f"\\x{ord(one):02x}" for one in text),
    "braces": lambda text: "".join(f"\\u{{{ord(one):x}}}" for one in text),
}


@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["secret", "token"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_masked_however_it_is_spelt(spelling: str, secret: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    assert MASK.text(f"before {spelt} after").split() == ["before", "***", "after"]
    assert MASK.text(f"{spelt}, {spelt}").replace(" ", "") == "***,***"
    assert MASK.may_be_in(f"one\n{spelt}\nthree")
    assert MASK.is_in(spelt)


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([SECRET, TOKEN]))
def test_what_stands_beside_a_secret_does_not_hide_it(before: str, after: str, secret: str) -> None:
    masked = MASK.text(f"{before}{secret}{after}")
    assert secret not in masked
    assert secret.lower() not in masked.lower()


@given(st.text())
def test_a_text_without_a_secret_stays_the_same(text: str) -> None:
    assert MASK.text(text) is text


@given(st.binary())
def test_bytes_without_a_secret_stay_the_same(body: bytes) -> None:
    assert MASK.octets(body) is body


@pytest.mark.parametrize("left", range(12, len(SECRET)))
def test_a_text_that_is_cut_within_a_secret_loses_what_is_left_of_it(left: int) -> None:
    assert MASK.text(f"a label {SECRET[:left]}") == "a label ***"
    assert MASK.may_be_in(f"a label {SECRET[:left]}\nnext")
    spelt = "".join(f"%{ord(one):02x}" for one in SECRET)
    assert "***" in MASK.text(f"a label {spelt[: 3 * left + 1]}")
    assert len(MASK.text(f"a label {spelt[: 3 * left + 1]}")) < 15


@pytest.mark.parametrize("left", range(37 + 16, len(TOKEN)))
def test_a_text_that_is_cut_within_a_campaign_token_loses_what_is_left_of_it(left: int) -> None:
    assert MASK.text(f"a label {TOKEN[:left]}") == "a label ***"


def test_json_with_masked_escapes_is_still_json() -> None:
    rest = SECRET[1:]
    payload = f'{{"a":"\\u005a{rest}","b":["x\\\\u005a{rest}","\\/{TOKEN}\\/"]}}'
    assert json.loads(MASK.shown(payload)) == {"a": "***", "b": ["x***", "/***/"]}


def test_short_values_are_no_secrets() -> None:
    assert SecretMask(["", "me", "admin"]).text("tell me of the admin") == "tell me of the admin"


def test_the_longest_of_secrets_that_begin_alike_is_masked_whole() -> None:
    mask = SecretMask(["a-secret-of-many", "a-secret-of-many-words"]).with_more("another-one")
    assert mask.text("x a-secret-of-many-words y another-one") == "x *** y ***"


def test_a_mask_shows_no_secret_itself() -> None:
    assert SECRET.lower() not in repr(MASK).lower()


@pytest.mark.timeout(60)  # it takes a second, and with a search that is quadratic hours
@pytest.mark.parametrize("piece", ["%2525", "\\", "\\" * 9_999 + "u"])
def test_a_megabyte_of_escapes_is_searched_to_its_end(piece: str) -> None:
    escapes = piece * (1_000_000 // len(piece))
    assert MASK.text(f"{escapes}{SECRET}").endswith("***")


@pytest.mark.parametrize(
    "text",
    [
        f"https://host/callbacks/{SECRET}/inbound",
        f'{{"inboundUrl":"https:\\/\\/host\\/callbacks\\/{SECRET}\\/inbound"}}',
        f'{{"inboundUrl":"https:\\u002f\\u002fhost\\u002fcallbacks\\u002f{SECRET}\\u002finbound"}}',
        f"https%3A%2F%2Fhost%2Fcallbacks%2F{SECRET}%2Finbound",
        f"https%253A%252F%252Fhost%252Fcallbacks%252F{SECRET}%252Finbound",
        f"https:&#x2f;&#x2F;host&sol;callbacks&#47;{SECRET}&#47;inbound",
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
