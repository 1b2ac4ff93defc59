"""Comparing what two sources say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.alerting.agreement import compare_values

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("Ana", "Ana", "same"),
        (1, 1.0, "same"),
        (None, None, "same"),
        ("Ana ", "ana", "form"),
        ("Zoe\u0308", "Zoë", "form"),
        ("STRASSE", "straße", "form"),
        ("42", 42, "form"),
        ("42", 42.0, "form"),
        ("true", True, "form"),
        (["A"], ["a"], "form"),
        ({"city": "Berlin"}, {"city": "berlin"}, "form"),
        (True, 1, "different"),
        ("Ana", "Anna", "different"),
        (["a", "b"], ["b", "a"], "different"),
        ("Ana", None, "only_a"),
        (None, 0, "only_b"),
        (False, None, "only_a"),
    ],
)
def test_tells_how_two_values_relate(a, b, expected):
    assert compare_values(a, b) == expected


@given(VALUES)
def test_every_value_is_the_same_as_itself(value):
    assert compare_values(value, json.loads(json.dumps(value))) == "same"


@given(VALUES, VALUES)
def test_does_not_depend_on_which_source_is_first(a, b):
    swapped = {"only_a": "only_b", "only_b": "only_a"}
    found = compare_values(a, b)
    assert compare_values(b, a) == swapped.get(found, found)
