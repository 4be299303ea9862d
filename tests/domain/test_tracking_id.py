import pytest

from app.domain.tracking_id import canonical_id

UUID = "0a047b46-a4dd-4ca8-b817-a6a134dd1234"


@pytest.mark.parametrize(
    "written",
    [
        UUID, UUID.upper(), UUID.title(), f" {UUID}", f"{UUID}\n", f"\u00a0{UUID.upper()}\u200b",
        f"\ufeff{UUID}", f"\u202a{UUID}\u202c", f"\u2066{UUID}\u2069",
    ],
)  # fmt: skip
def test_a_uuid_is_the_same_in_capitals_and_with_blanks(written: str) -> None:
    assert canonical_id(written) == UUID


@pytest.mark.parametrize(
    "opaque",
    [
        "ABC", "Abc", "17", "é", "É", "a b", "a\u00a0b", "\uff21\uff22\uff23",
        UUID.upper().replace("-", ""),
        UUID.upper() + "0", f"{{{UUID.upper()}}}", "urn:uuid:" + UUID.upper(),
        UUID.upper()[:-1] + "G",
        "\u0660" * 8 + "-1234-1234-1234-" + "A" * 12, "\0A", "",
    ],
)  # fmt: skip
def test_any_other_id_is_opaque(opaque: str) -> None:
    assert canonical_id(opaque) == opaque


@pytest.mark.parametrize("blank", [" ", "\t\r\n", "\u00a0", "\u200b\ufeff", "\u3000\u2800\u00ad"])
def test_an_id_of_blanks_is_none(blank: str) -> None:
    assert canonical_id(blank) == ""
