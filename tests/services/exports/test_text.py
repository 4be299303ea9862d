import csv
import io
import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.db.exports import ExportTable
from app.services.exports.columns import COLUMNS, CellKind, Column, Columns, with_numbers_masked
from app.services.exports.text import Cells, CsvEncoder, NdjsonEncoder

ONE = Columns((Column("id"), Column("text")), tuple, "text")
THREE = Columns((Column("id"), Column("text"), Column("last")), tuple, "id")
OPEN = Columns((Column("id"), Column("open", CellKind.OPEN)), tuple, "open")


def cell(text: object, cells: Cells = Cells.SPREADSHEET, columns: Columns = ONE) -> str:
    """What is written for *text* in the second column."""
    line = CsvEncoder(columns, cells).encode([(None, text)]).decode()
    return line.removeprefix(",").removesuffix("\r\n")


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "+1-1", "-1", "@SUM(A1)", "\t1", "\r1", "\n1", " =1", "\uff1d1", "\uff0b1", "+", "-"],
)
def test_what_begins_a_formula_gets_an_apostrophe(formula: str) -> None:
    assert cell(formula).strip('"') == f"'{formula}"
    assert cell(formula, Cells.EXACT).strip('"') == formula


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("hi;=HYPERLINK(A1);", "hi;'=HYPERLINK(A1);"),
        ("hi\n=1+1;", "hi\n'=1+1;"),
        ("hi\t@SUM(A1)", "hi\t'@SUM(A1)"),
        ("hi\r\n\r\n -1", "hi\r\n\r\n '-1"),
        ('hi;"=1"', 'hi;"\'=1"'),
        ("\t=1", "'\t'=1"),
        (";\uff1d1", ";'\uff1d1"),
    ],
)
def test_what_would_be_a_formula_after_a_split_gets_one_too(text: str, harmless: str) -> None:
    quoted = harmless.replace('"', '""')
    assert cell(text) == f'"{quoted}"'
    assert cell(text, Cells.EXACT).replace('""', '"') == f'"{text}"'


@pytest.mark.parametrize(
    "ordinary",
    ["2 + 2 = 4", 'say "-5"', "me@example.com", "see http://x/?a=1&b=+2", "well; yes\nno", "a - b"],
)
def test_ordinary_texts_stay_as_they_are(ordinary: str) -> None:
    assert cell(ordinary).strip('"').replace('""', '"').removesuffix('"') == ordinary.removesuffix(
        '"'
    )


@given(st.lists(st.text(" \t\r\n;\",'=+-@\uff1da1", max_size=12), min_size=3, max_size=3))
@example(["m-1", "hi;=HYPERLINK(A1);", "end;"])
@example(["m-1", 'hi\n"=1+1', "-1"])
@example(["m-1", "a;", "=1"])
@example(["+1", "1+1", ";"])
def test_however_a_spreadsheet_splits_no_cell_is_a_formula(texts: list[str]) -> None:
    content = CsvEncoder(THREE, Cells.SPREADSHEET).encode([texts, texts]).decode()
    for separator in ",;\t":
        split = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
        cells = [cell for row in split for cell in row]
        assert not [cell for cell in cells if begins_formula(cell)], (separator, cells)
    # One that knows no quotes, and one that splits at whatever may separate.
    for separators in (r"[;\r\n]", r"[\t\r\n]", r"[;\t\r\n]"):
        cells = [cell.lstrip('" ') for cell in re.split(separators, content)]
        assert not [cell for cell in cells if begins_formula(cell)], (separators, cells)


def begins_formula(cell: str) -> bool:
    return cell.strip()[:1] in tuple("=+-@\uff1d") and not re.fullmatch(r"\+[0-9]{1,15}", cell)


def test_a_million_line_ends_are_written_in_no_time() -> None:
    assert len(cell("\n" * 1_000_000 + "=1")) == 1_000_006


@pytest.mark.parametrize("number", ["+306900000123", "+1", "+123456789012345"])
def test_a_telephone_number_stays_as_it_is(number: str) -> None:
    assert cell(number) == number


@pytest.mark.parametrize(
    "almost", ["+30 690", "+1234567890123456", "+30690*2", "+306900000123\n1", "+\u0661\u0662"]
)
def test_what_only_looks_like_a_telephone_number_does_not(almost: str) -> None:
    assert cell(almost).strip('"') == f"'{almost}"


def test_a_formula_in_routees_own_json_is_harmless_too() -> None:
    assert cell("=1+1", columns=OPEN) == "'=1+1"
    assert cell({"text": "=1"}, columns=OPEN) == '"{""text"": ""=1""}"'
    assert cell({"text": "a;=1"}, columns=OPEN) == '"{""text"": ""a;\'=1""}"'


def test_amounts_and_times_are_no_texts() -> None:
    columns = COLUMNS[ExportTable.MESSAGES]
    price = next(column for column in columns.columns if column.name == "price")
    amounts = Columns((Column("id"), price), tuple, "id")
    assert cell(Decimal(-12), columns=amounts) == "-12"


def test_null_is_an_empty_cell_and_an_empty_text_is_two_quotes() -> None:
    assert cell(None) == ""
    assert cell("") == '""'


def test_quotes_commas_and_line_ends_are_quoted() -> None:
    assert cell('a "b", c\r\nd') == '"a ""b"", c\r\nd"'
    assert cell("plain text") == "plain text"


def test_the_first_line_has_the_names() -> None:
    encoder = CsvEncoder(COLUMNS[ExportTable.INBOUND_MESSAGES], Cells.EXACT)
    assert encoder.begin().startswith(b"id,from,to,message,")
    assert encoder.begin().endswith(b",label\r\n")
    assert encoder.end() == b""


def test_an_object_a_line() -> None:
    encoded = NdjsonEncoder(ONE).encode([("1", "a\nb"), ("2", None), ("3", "")])
    assert encoded.split(b"\n") == [
        b'{"id":"1","text":"a\\nb"}',
        b'{"id":"2","text":null}',
        b'{"id":"3","text":""}',
        b"",
    ]


def test_masking_hides_numbers_wherever_they_stand() -> None:
    columns = (Column("to", is_number=True), Column("text"), Column("open", CellKind.OPEN))
    open_cell = {"to": ["+306900000123"], "ttl": 120}
    row = ("306900000123", "call +306900000123, or 112", open_cell)
    assert with_numbers_masked(columns, row) == [
        "***123",
        "call ***123, or 112",
        {"to": ["***123"], "ttl": 120},
    ]
    assert with_numbers_masked(columns, (None, None, None)) == [None, None, None]


@pytest.mark.parametrize(
    "spelling",
    [
        "306900000123",
        "00 30 690 000 0123",
        "+30\u00a0690\u00a0000\u00a00123",
        "+30\u200e690\u20110000123",
        "\u0663\u0660\u0666\u0669\u0660\u0660\u0660\u0660\u0660\u0661\u0662\u0663",
        "(30) - 690 - 0000123",
    ],
)
def test_masking_hides_numbers_in_every_spelling_and_leaves_ids_and_counts(spelling: str) -> None:
    names = ("to", "label", "viberAnalysis", "campaignTrackingId", "id", "counts")
    columns = [Column(name, is_number=name == "to") for name in names]
    analysis = {"recipientCountries": {spelling: "GR"}, "of": [spelling, 306900000123, 7]}
    counts = {"SEEN": 12345678}
    shown = with_numbers_masked(
        columns, (spelling, f"for {spelling}", analysis, "c-12345678", "12345678", counts)
    )
    assert shown[0] == "***123"
    assert shown[3:] == ["c-12345678", "12345678", counts]
    for one in ("690", "\u0666\u0669\u0660"):
        assert one not in str(shown[:3])
