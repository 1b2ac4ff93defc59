"""What a definition refers to must exist, and must not lead back to itself."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from cdp.core.errors import FieldError
from segments.errors import CircularReference, SealedTraitCompared, UnknownReference
from segments.language.nodes import Node
from segments.language.person import Segment
from segments.language.reading import either, join, shown
from segments.language.references import ConsentIs, HasIdentifier, InSegment, OnList
from segments.language.traits import Trait

MAX_REFERENCES = 10
TRAIT_TOKEN = "trait:"  # noqa: S105 - how a node names a trait that it depends on
ON_SEALED = frozenset({"exists", "missing"})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What exists in the installation.

    Attributes
    ----------
    segments : mapping
        Keys of all segments, each with the keys of the segments that it refers to.
    purposes : mapping
        Keys of all purposes, each with its channels; an empty set allows every channel.
    lists, identifier_types : set
        Keys.
    sealed_traits : set
        Names of the traits that are stored encrypted: nothing can compare their values.
    """

    segments: Mapping[str, Set[str]] = field(default_factory=dict)
    purposes: Mapping[str, Set[str]] = field(default_factory=dict)
    lists: Set[str] = frozenset()
    identifier_types: Set[str] = frozenset()
    sealed_traits: Set[str] = frozenset()


def check(segment: Segment, catalogue: Catalogue, *, key: str | None = None) -> None:
    """Check a definition against what exists.

    Traits and event names are free: they may come later.

    Parameters
    ----------
    key : str or None
        The segment that the definition is for, where it has one yet.

    Raises
    ------
    UnknownReference
        If a segment, list, purpose, channel or identifier type does not exist.
    CircularReference
        If the segment would depend on itself, or a chain of references is longer than `MAX_REFERENCES`.
    SealedTraitCompared
        If a condition compares a trait that is stored encrypted.
    """
    check_nodes(segment.match.walk(), catalogue, key=key)
    _check_cycles(segment, catalogue, key)


def check_nodes(nodes: Iterable[Node], catalogue: Catalogue, *, key: str | None) -> None:
    """Check that what conditions name exists.

    Raises
    ------
    UnknownReference
        If a segment, list, purpose, channel or identifier type does not exist.
    SealedTraitCompared
        If a condition compares a trait that is stored encrypted.
    """
    nodes = list(nodes)
    check_sealed(nodes, catalogue)
    errors: list[FieldError] = []
    for node in nodes:
        if isinstance(node, InSegment) and node.key != key:
            errors += _unknown(join(node.path, "key"), "segment", node.key, catalogue.segments)
        elif isinstance(node, OnList):
            errors += _unknown(join(node.path, "key"), "list", node.key, catalogue.lists)
        elif isinstance(node, HasIdentifier):
            errors += _unknown(
                join(node.path, "namespace"), "identifier type", node.namespace, catalogue.identifier_types
            )
        elif isinstance(node, ConsentIs):
            errors += _unknown(join(node.path, "purpose"), "purpose", node.purpose, catalogue.purposes)
            channels = catalogue.purposes.get(node.purpose, frozenset())
            if node.channel and channels:
                errors += _unknown(join(node.path, "channel"), "channel", node.channel, channels)
    if errors:
        raise UnknownReference(errors)


def check_sealed(nodes: Iterable[Node], catalogue: Catalogue) -> None:
    """Refuse to compare what is stored encrypted: it would look like a value that nobody has."""
    errors = []
    for node in nodes:
        if node.children or (isinstance(node, Trait) and node.condition.operator in ON_SEALED):
            continue
        for name in sorted(catalogue.sealed_traits & {one.removeprefix(TRAIT_TOKEN) for one in node.tokens()}):
            message = f"the trait {shown(name)} is stored encrypted, so that only exists and missing can ask for it"
            errors.append(FieldError(node.path, "sealed_trait", message))
    if errors:
        raise SealedTraitCompared(errors)


def _unknown(path: str, what: str, key: str, known: Mapping[str, Set[str]] | Set[str]) -> list[FieldError]:
    if key in known:
        return []
    some = sorted(known)[:10]
    hint = f"; there are: {either(some)}" if some else "; there is none yet"
    return [FieldError(path, "unknown_reference", f"there is no {what} {shown(key)}{hint}")]


def references(segment: Segment) -> set[str]:
    """Return the keys of the segments that a definition refers to."""
    return {node.key for node in segment.match.walk() if isinstance(node, InSegment)}


def _check_cycles(segment: Segment, catalogue: Catalogue, key: str | None) -> None:
    for node in segment.match.walk():
        if not isinstance(node, InSegment):
            continue
        chain = _chain_to(node.key, key, catalogue, ())
        if chain is not None:
            shown_chain = " → ".join([*chain])
            raise CircularReference(
                [FieldError(join(node.path, "key"), "circular_reference", f"this leads back to itself: {shown_chain}")]
            )
        depth = _depth(node.key, catalogue, {})
        if depth > MAX_REFERENCES:
            raise CircularReference(
                [
                    FieldError(
                        join(node.path, "key"),
                        "limit",
                        f"segments may refer to each other at most {MAX_REFERENCES} levels deep, not {depth}",
                    )
                ]
            )


def _chain_to(start: str, goal: str | None, catalogue: Catalogue, seen: tuple[str, ...]) -> tuple[str, ...] | None:
    if start == goal:
        return (*seen, start)
    if start in seen:
        return None
    for following in sorted(catalogue.segments.get(start, frozenset())):
        found = _chain_to(following, goal, catalogue, (*seen, start))
        if found is not None:
            return found
    return None


def _depth(start: str, catalogue: Catalogue, known: dict[str, int]) -> int:
    if start not in known:
        known[start] = 1
        below = [_depth(each, catalogue, known) for each in catalogue.segments.get(start, frozenset())]
        known[start] = 1 + max(below, default=0)
    return known[start]
