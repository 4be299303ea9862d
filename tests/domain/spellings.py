"""Spellings of telephone numbers as they may come, and texts that only look like one."""

from hypothesis import strategies as st

from app.domain.phone_number import digit_in_all_scripts

_BLANKS = " \t\n\u00a0\u1680\u2002\u2009\u202f\u205f\u3000\u2800"
_INVISIBLE = "\u00ad\u061c\u200b\u200d\u200e\u202a\u202c\u2060\u2066\u2069\ufeff\ufe0f\U000e0020"
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\ufe63"
_OTHERS = "./\\()[]\uff0e\uff08\u00b7\u2215"
_BETWEEN = st.text(_BLANKS + _INVISIBLE + _DASHES + _OTHERS, max_size=2)
_AROUND = st.text(_BLANKS + _INVISIBLE, max_size=2)
#: Of a real country code, so that a leading zero does not say anything else.
NUMBERS = st.from_regex(r"[1-9][0-9]{5,14}", fullmatch=True)


@st.composite
def spellings(draw: st.DrawFn, digits: str) -> str:
    """A spelling of the number +*digits*."""
    prefix = draw(st.sampled_from(["", "+", "00", "\uff0b", "tel:+", "TEL: 00", "(+", " ", "+00"]))
    suffix = draw(st.sampled_from(["", "", ")", ";ext=12", ";ext=1;isub=2"]))
    script = draw(st.integers(0, len(digit_in_all_scripts("0")) - 1))
    scripts = draw(st.lists(st.sampled_from([0, script]), min_size=15, max_size=15))
    spelt = draw(_AROUND) + prefix
    for at, digit in enumerate(digits):
        spelt += digit_in_all_scripts(digit)[scripts[at]]
        if at < len(digits) - 1 and draw(st.booleans()):
            spelt += draw(_BETWEEN)
    return spelt + suffix + draw(_AROUND)


@st.composite
def numbers_and_spellings(draw: st.DrawFn) -> tuple[str, str]:
    """A number in its one spelling, and another one."""
    digits = draw(NUMBERS)
    return f"+{digits}", draw(spellings(digits))


#: Anything with some of what numbers are made of.
ODD_TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(
        "0123456789\u0660\u0663\u06f6\u096f\uff13\U0001d7d8+ee;.,:()-/ \u00a0\u200e\u2013*"
        "xtelTEL\ufffdérext=phone-context",
        max_size=40,
    ),
    st.from_regex(r"[+]?[0-9]{1,16}([.,][0-9]{0,12})?([eE][+]?[0-9]{1,3})?", fullmatch=True),
    numbers_and_spellings().map(lambda pair: pair[1]),
).map(lambda text: text.replace("\0", ""))
