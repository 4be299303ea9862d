from time import process_time

import pytest

from tests.routee.rules.requests import examined, faulty_fields, warnings, with_body


def test_placeholders_with_their_values_are_fine() -> None:
    body = {"text": "Dear [~name], [~city] calls", "fallbackValues": {"name": "guest", "city": ""}}
    found = examined(with_body(body))
    assert (found.faults, found.warnings) == ((), ())


@pytest.mark.parametrize("values", [None, {}, {"name": None}])
def test_a_placeholder_without_a_value_is_a_warning(values: object) -> None:
    document = with_body({"text": "Dear [~name], dear [~name]", "fallbackValues": values})
    assert warnings(document) == [("placeholder-without-fallback", "body.text")]
    assert "[~name]" in examined(document).warnings[0].message


def test_a_value_that_no_placeholder_uses_is_a_warning() -> None:
    document = with_body({"text": "Dear guest", "fallbackValues": {"nom": "x"}})
    assert warnings(document) == [("fallback-not-used", "body.fallbackValues.nom")]


@pytest.mark.parametrize(
    "spelling",
    [
        "{{name}}",
        "{{ first_name }}",
        "${whatever}",
        "*|FNAME|*",
        "%name%",
        "%first_name%",
        "[name]",
        "[First Name]",
        "[[name]]",
        "<name>",
        "{name}",
        "~name~",
        "#name#",
    ],
)
def test_a_placeholder_of_another_service_is_a_warning(spelling: str) -> None:
    document = with_body({"text": f"Dear {spelling}, hello"})
    assert faulty_fields(document) == []
    assert warnings(document) == [("looks-personalised", "body.text")]
    assert spelling.strip("[]") in examined(document).warnings[0].message


def test_a_name_of_a_fallback_value_reveals_a_misspelt_placeholder() -> None:
    document = with_body({"text": "Your table {table}", "fallbackValues": {"table": "1"}})
    codes = [code for code, _ in warnings(document)]
    assert codes == ["fallback-not-used", "looks-personalised"]


@pytest.mark.parametrize(
    "text",
    [
        "10%off% and 5% more, 20%-30% less",
        "[SALE] now, ~struck out~, *bold*, _italic_",
        "a < b > c and {1, 2} and <3",
        "https://shop.example/?q=%D0%BE%D0%B1&x=%AB%CD%EF",
        "#sale #summer#",
        "Call us [9-17h], ask for {anything}",
    ],
)
def test_ordinary_texts_are_not_mistaken_for_personalised_ones(text: str) -> None:
    assert warnings(with_body({"text": text})) == []


@pytest.mark.parametrize(
    "piece", ["{{", "[~", "[", "%a", "~a", "<a ", "#a", "*|", "${", " ", "[~a]", "{{ ", "%aa%"]
)
@pytest.mark.parametrize("opening", ["", "{{", "[~", "<"])
def test_a_long_text_of_any_pattern_is_checked_quickly(opening: str, piece: str) -> None:
    text = opening + piece * (200_000 // len(piece))
    started = process_time()
    examined(with_body({"text": text}))
    assert process_time() - started < 1
