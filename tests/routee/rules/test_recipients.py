import pytest

from tests.routee.rules.requests import codes_at, examined, faulty_fields, request, warnings

SOURCES = ["to", "contacts", "groups"]


def numbers(count: int) -> list[str]:
    return [f"+30691{number:07d}" for number in range(count)]


@pytest.mark.parametrize("source", SOURCES)
def test_any_one_of_the_sources_is_enough(source: str) -> None:
    document = request(to=None) | {source: ["+306912345678"]}
    assert faulty_fields(document) == []


@pytest.mark.parametrize("to", [None, []])
def test_a_campaign_without_recipients_is_refused(to: object) -> None:
    assert faulty_fields(request(to=to, contacts=[], groups=None)) == ["to"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("value", ["+306912345678", {"0": "+306912345678"}, 5, True])
def test_recipients_are_an_array(source: str, value: object) -> None:
    assert faulty_fields(request(**{source: value})) == [source]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("entry", ["", " ", None, 306912345678, ["+306912345678"]])
def test_each_recipient_is_a_string_that_is_not_empty(source: str, entry: object) -> None:
    good = "+306999999999"
    assert faulty_fields(request(**{source: [good, entry]})) == [f"{source}[1]"]


def test_a_thousand_recipients_are_fine() -> None:
    assert faulty_fields(request(to=numbers(1000))) == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_thousand_and_one_are_too_many(source: str) -> None:
    assert faulty_fields(request(**{source: numbers(1001)})) == [source]


@pytest.mark.parametrize(
    "number",
    [
        "306912345678",
        "00306912345678",
        "+30 691 234 5678",
        "+30-6912345678",
        "+30(0)6912345678",
        "+0306912345678",
        "+3069123",
        "+120255501234",
        "+999123456789",
        "+1800FLOWERS",
        "+30\u0666\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
        "+306912345678\n",
        "tel:+306912345678",
        "+",
        "Anna",
    ],
)
def test_a_malformed_number_carries_routees_code(number: str) -> None:
    document = request(to=["+306912345678", number])
    assert codes_at(document, "to[1]") == [("400019002", "001")]


@pytest.mark.parametrize("number", ["+15555550100", "+447700900123"])
def test_a_number_of_an_unknown_range_is_only_a_warning(number: str) -> None:
    document = request(to=[number])
    assert faulty_fields(document) == []
    assert warnings(document) == [("number-not-valid", "to[0]")]


@pytest.mark.parametrize(
    "number", ["+306912345678", "+4915112345678", "+12025550123", "+6598765432"]
)
def test_an_ordinary_number_has_no_findings(number: str) -> None:
    found = examined(request(to=[number]))
    assert (found.faults, found.warnings) == ((), ())


def test_an_extra_zero_after_the_country_code_is_a_warning() -> None:
    document = request(to=["+4407911123456"])
    assert faulty_fields(document) == []
    assert warnings(document) == [("number-not-canonical", "to[0]")]


@pytest.mark.parametrize("source", SOURCES)
def test_a_repeated_recipient_is_a_fault_that_names_both_indexes(source: str) -> None:
    found = examined(request(**{source: [*numbers(3), numbers(2)[1], numbers(1)[0]]})).faults
    assert [fault.field for fault in found] == [f"{source}[3]", f"{source}[4]"]
    assert f"{source}[1]" in found[0].message
    assert f"{source}[0]" in found[1].message


def test_the_same_number_in_another_spelling_is_the_same_recipient() -> None:
    document = request(to=["+447911123456", "+4407911123456"])
    assert faulty_fields(document) == ["to[1]"]
