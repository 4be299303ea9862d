from time import process_time

import pytest

from tests.routee.rules.requests import examined, faulty_fields, warnings, with_body


def test_labels_with_their_values_are_not_remarked_on() -> None:
    body = {"text": "Dear [~name], [~city] calls", "fallbackValues": {"name": "guest", "city": ""}}
    found = examined(with_body(body))
    assert (found.faults, found.warnings) == ((), ())


@pytest.mark.parametrize("values", [None, {}, {"name": None}])
def test_a_label_without_a_value_is_a_warning(values: object) -> None:
    document = with_body({"text": "Dear [~name], dear [~name]", "fallbackValues": values})
    assert warnings(document) == [("label-without-fallback", "body.text")]
    assert "[~name]" in examined(document).warnings[0].message


def test_a_value_that_no_label_uses_is_a_warning() -> None:
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
def test_what_other_services_take_for_a_label_is_a_warning(spelling: str) -> None:
    document = with_body({"text": f"Dear {spelling}, hello"})
    assert faulty_fields(document) == []
    assert warnings(document) == [("looks-personalised", "body.text")]
    assert spelling.strip("[]") in examined(document).warnings[0].message


def test_a_word_of_the_fallback_values_tells_a_misspelt_label() -> None:
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
def test_ordinary_texts_are_not_taken_for_personalised_ones(text: str) -> None:
    assert warnings(with_body({"text": text})) == []


@pytest.mark.parametrize(
    "piece", ["{{", "[~", "[", "%a", "~a", "<a ", "#a", "*|", "${", " ", "[~a]", "{{ ", "%aa%"]
)
@pytest.mark.parametrize("opening", ["", "{{", "[~", "<"])
def test_a_long_text_of_anything_is_read_in_no_time(opening: str, piece: str) -> None:
    text = opening + piece * (200_000 // len(piece))
    started = process_time()
    examined(with_body({"text": text}))
    assert process_time() - started < 1
