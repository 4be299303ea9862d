import re

import pytest

from app.kit.scram import make_verifier


def test_the_verifier_is_that_of_the_standards_example(monkeypatch: pytest.MonkeyPatch) -> None:
    # RFC 7677 has this salt; the keys are what PostgreSQL stores for it.
    monkeypatch.setattr("os.urandom", lambda _: b"[m\x99h\x9d\x125\x8e\xec\xa0K\x14\x126\xfa\x81")
    assert make_verifier("pencil") == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_each_verifier_has_a_salt_of_its_own() -> None:
    made = {make_verifier("pencil") for _ in range(3)}
    assert len(made) == 3
    assert all(
        re.fullmatch(r"SCRAM-SHA-256\$4096:[\w+/=]{24}\$[\w+/=]{44}:[\w+/=]{44}", it) for it in made
    )
