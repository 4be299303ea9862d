"""YAML says the same as the JSON that it was made from."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.kit.yaml import as_yaml

TEXTS = st.text(st.characters(codec="utf-8"), max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(0.001, 1000) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_as_it_was(value: Any) -> None:  # noqa: ANN401
    assert yaml.safe_load(as_yaml(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        {"on": 1, "No": 2, "null": 3, "y": 4, "$ref": "#/x", "1": 5, "": 6, "a: b": 7, "- a": 8},
        [[[1, 2], []], {"a": [{"b": {}}]}, [{"a": 1, "b": [2, [3]]}]],
        {"text": "two\nlines: with # and 'quotes' and \"these\" \u0085\u2028 Ω"},
        {"~": "~", "=": "=", "<<": "<<", "0x1f": "2026-01-01"},
    ],
)
def test_what_yaml_would_take_for_something_else(value: Any) -> None:  # noqa: ANN401
    assert yaml.safe_load(as_yaml(value)) == value
