"""Predicates that dedupe learned, as parts of blocking rules: its functions give a value several keys, or one, or none.

Imports dedupe only where a rule names a predicate: who scores a model without them needs none of it.
"""

import string
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

LEARNED = "learned:"
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def atoms_of(predicate: Any) -> tuple[tuple[str, str], ...]:
    """Return the columns and atoms of a predicate of dedupe, simple or compound."""
    return tuple((one.field, LEARNED + one.func.__name__) for one in predicate)


def read_predicate(atom: str) -> Callable[[str], Iterable[str]]:
    """Return what gives the keys of a value, as `dedupe.predicates.StringPredicate` calls it."""
    function = getattr(import_module("dedupe.predicate_functions"), atom.removeprefix(LEARNED))

    def keys_of(value: str) -> Iterable[str]:
        text = " ".join(value.translate(_NO_PUNCTUATION).split())
        found: Iterable[str] = function(text) if text else ()
        return found

    return keys_of
