"""What a language needs for letters; one value of `Phrases` for each."""

from collections.abc import Mapping
from dataclasses import dataclass

TYPES = ("access", "portability", "erasure", "rectification", "restriction", "objection", "opt_out")
# Of each: when it is sent. `done` has a text for each kind of request.
KINDS = ("received", "identity", "extended", "rejected", "package", "done", "lifting", "free")


@dataclass(frozen=True, slots=True)
class Phrases:
    """The sentences of one language. `{...}` is filled from `consent.letters.compose.Facts`."""

    code: str
    greeting: str
    closing: str
    number: str
    date: str
    types: Mapping[str, str]
    subjects: Mapping[str, str]
    bodies: Mapping[str, str]
    done: Mapping[str, str]
