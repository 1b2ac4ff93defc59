"""Every kind of condition, by its name in JSON, and how it is read."""

from collections.abc import Callable, Mapping
from typing import Any

from segments.language.event_picks import Picked, read_picked
from segments.language.events import Did, read_did
from segments.language.held import TraitHeld, read_held
from segments.language.lifecycles import Lifecycle, read_lifecycle
from segments.language.logic import All, AnyOf, Everyone, Not
from segments.language.nodes import Node, Reading
from segments.language.references import (
    ConsentIs,
    HasIdentifier,
    InSegment,
    OnList,
    read_consent_node,
    read_identity_node,
    read_list_node,
    read_segment_node,
)
from segments.language.rfm import Rfm, read_rfm
from segments.language.samples import Near, Sample, read_near, read_sample
from segments.language.sequences import InOrder, read_sequence
from segments.language.traits import Trait, read_trait

FAMILIES: tuple[type[Node], ...] = (
    All,
    AnyOf,
    Not,
    Everyone,
    Trait,
    TraitHeld,
    Did,
    Picked,
    InOrder,
    Lifecycle,
    InSegment,
    OnList,
    ConsentIs,
    HasIdentifier,
    Sample,
    Near,
    Rfm,
)

LEAF_READERS: Mapping[str, Callable[[Mapping[str, Any], Reading], Node]] = {
    "trait": read_trait,
    "trait_held": read_held,
    "event": read_did,
    "event_pick": read_picked,
    "sequence": read_sequence,
    "lifecycle": read_lifecycle,
    "segment": read_segment_node,
    "list": read_list_node,
    "consent": read_consent_node,
    "identity": read_identity_node,
    "sample": read_sample,
    "geo": read_near,
    "rfm": read_rfm,
}

# Part of the language; each needs data that the product does not keep yet.
NOT_YET = {
    "score": "models",
    "related": "related objects",
}

ROW_LABELS: Mapping[str, str] = {family.type: family.label for family in FAMILIES}
