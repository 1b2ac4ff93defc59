"""JSON → the definition of a computed trait (`computed-trait/v1`)."""

from typing import Any

from segments.errors import InvalidDefinition
from segments.language.computations import Computation, TraitDefinition
from segments.language.nodes import Reading
from segments.language.parse import MAX_LEAVES, read_head, read_node
from segments.language.reading import Fault, either, fault, join, read_object, shown
from segments.language.scoring import RfmTrait, WeightedScore, read_rfm_trait, read_weighted_score
from segments.language.summaries import Summary, read_summary

KINDS: tuple[type[Computation], ...] = (Summary, WeightedScore, RfmTrait)


def parse_trait(definition: Any) -> TraitDefinition:
    """Read the definition of a computed trait.

    Parameters
    ----------
    definition : JSON value
        `{"version": 1, "timezone": …, "compute": …}` as `json.loads` gives it.

    Raises
    ------
    InvalidDefinition
        With one entry per fault found: its path, a code and what is allowed there.
    """
    try:
        return _parse(definition)
    except Fault as found:
        raise InvalidDefinition(found.errors) from found


def _parse(definition: Any) -> TraitDefinition:
    data = read_object(definition, "", required=("version", "compute"), optional=("timezone",))
    timezone = read_head(data)
    compute = _read(data["compute"], Reading("compute"))
    leaves = sum(1 for node in compute.conditions if not node.children)
    if leaves > MAX_LEAVES:
        raise fault("compute", "limit", f"has {leaves} conditions; at most {MAX_LEAVES} are allowed")
    return TraitDefinition(timezone, compute)


def _read(value: Any, reading: Reading) -> Computation:
    if not isinstance(value, dict):
        raise fault(reading.path, "wrong_type", f"must be a computation, not {shown(value)}")
    kind = value.get("type")
    if kind == Summary.type:
        return read_summary(value, reading)
    if kind == WeightedScore.type:
        return read_weighted_score(value, reading, read_node)
    if kind == RfmTrait.type:
        return read_rfm_trait(value, reading)
    at = join(reading.path, "type")
    raise fault(at, "not_allowed", f"{shown(kind)} is not a type; allowed: {either(each.type for each in KINDS)}")
