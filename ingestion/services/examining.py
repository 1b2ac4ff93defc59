"""Looking at a definition while somebody edits it: its faults, its tests, what it would do to recent messages.

Faults are said beside the text, not raised: who edits wants to see them together with what was typed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from cdp.core.errors import FieldError
from ingestion.errors import InvalidTreatment
from ingestion.models import Source, TreatmentKind
from ingestion.queries.samples import Sample, read_samples
from ingestion.queries.treatments import find_version
from ingestion.services.treatments import MAX_DEFINITION_BYTES, save_treatment
from ingestion.services.trying import Trial, Tried, sum_up, try_cleaning, try_plan, try_transformations
from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.inference import infer_plan
from ingestion.treatment.normalisers import INVALID
from ingestion.treatment.plans import compile_plan
from ingestion.treatment.segment_plan import import_plan
from ingestion.treatment.transformations import compile_transformations

SAMPLES = 100
PROPOSAL_SAMPLES = 1_000
CODE = "treatment.invalid"
EMPTY: dict[TreatmentKind, dict[str, Any]] = {
    TreatmentKind.TRANSFORMATIONS: {"steps": []},
    TreatmentKind.PLAN: {"rules": []},
    TreatmentKind.CLEANING: {"steps": []},
}
# What a plan keeps when its rules are replaced as a whole.
OUTSIDE_RULES = ("policies", "allow")
FILTERED_OUT = "the message is filtered out"
NO_NORMAL_FORM = "no normal form"


@dataclass(frozen=True, slots=True)
class Tested:
    """One test of a definition; `outcome` is what came out where that is not what it says."""

    path: str
    name: str
    passed: bool
    differs_at: str = ""
    outcome: Any = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody sends from an editor. `checked` names the definition whose check they have seen."""

    text: str
    note: str = ""
    checked: str = ""
    accepts_losses: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """A definition with all that can be said of it. `saved` is its version, None where it was not saved."""

    text: str
    definition: dict[str, Any] | None = None
    faults: Sequence[FieldError] = ()
    tests: Sequence[Tested] = ()
    tried: Sequence[Tried] = ()
    trial: Trial = field(default_factory=lambda: Trial(0, 0, 0, []))
    saved: int | None = None

    @property
    def digest(self) -> str:
        """Name the definition; empty where it has faults."""
        if self.definition is None or self.faults:
            return ""
        return hashlib.blake2b(orjson.dumps(self.definition), digest_size=16).hexdigest()

    @property
    def failed(self) -> list[Tested]:
        """Return the tests that fail."""
        return [one for one in self.tests if not one.passed]

    @property
    def can_be_saved(self) -> bool:
        """Tell whether nothing is wrong with it."""
        return self.definition is not None and not self.faults and not self.failed


def write_definition(definition: dict[str, Any]) -> str:
    """Write a definition as it is edited."""
    return orjson.dumps(definition, option=orjson.OPT_INDENT_2).decode()


def read_definition(text: str) -> dict[str, Any]:
    """Read what somebody typed.

    Raises
    ------
    InvalidTreatment
        It is no JSON object, and where it stops being one.
    """
    if len(text.encode()) > MAX_DEFINITION_BYTES:
        raise _fault(f"This is too long: at most {MAX_DEFINITION_BYTES // 1024} KB.")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _fault(f"This is no JSON from line {error.lineno}, column {error.colno} on: {error.msg}.") from error
    if not isinstance(found, dict):
        raise _fault("This must be a JSON object: it begins with { and ends with }.")
    if "\\u0000" in text:
        raise _fault("The character \\u0000 cannot be stored: take it out.")
    return found


def _fault(message: str) -> InvalidTreatment:
    return InvalidTreatment([FieldError(path="", code=CODE, message=message)])


def examine(*, source: Source, kind: TreatmentKind, text: str, samples: Sequence[Sample] | None = None) -> Examined:
    """Return what is to be said of a definition; nothing is written.

    Parameters
    ----------
    samples : sequence of Sample, optional
        Messages to try it on; None: the last hundred of the source.
    """
    try:
        definition = read_definition(text)
        tests = run_tests(kind=kind, definition=definition)
        chosen = read_samples(source=source, limit=SAMPLES) if samples is None else samples
        tried = _try(source, kind, definition, chosen)
    except InvalidTreatment as error:
        return Examined(text, faults=error.errors)
    return Examined(text, definition, (), tests, tried, sum_up(tried))


def _try(source: Source, kind: TreatmentKind, definition: dict[str, Any], samples: Sequence[Sample]) -> list[Tried]:
    if kind == TreatmentKind.TRANSFORMATIONS:
        return try_transformations(definition=definition, samples=samples)
    if kind == TreatmentKind.PLAN:
        return try_plan(source=source, definition=definition, samples=samples)
    return try_cleaning(source=source, definition=definition, samples=samples)


def run_tests(*, kind: TreatmentKind, definition: dict[str, Any]) -> list[Tested]:
    """Run every test of a definition and say how it ended.

    Raises
    ------
    InvalidTreatment
        The definition has faults.
    """
    if kind == TreatmentKind.TRANSFORMATIONS:
        return _test_transformations(definition)
    if kind == TreatmentKind.CLEANING:
        return _test_cleaning(definition)
    compile_plan(definition)
    return []


def _test_transformations(definition: dict[str, Any]) -> list[Tested]:
    compiled = compile_transformations(definition)
    failed = {one.path: one for one in compiled.failures()}
    places = [
        (f"steps[{place}].tests[{number}]", example.name or step.name)
        for place, step in enumerate(compiled.steps)
        for number, example in enumerate(step.examples)
    ]
    places += [(f"tests[{number}]", example.name) for number, example in enumerate(compiled.examples)]
    tested = []
    for path, name in places:
        failure = failed.get(path)
        if failure is None:
            tested.append(Tested(path, name, passed=True))
        else:
            outcome = FILTERED_OUT if failure.outcome is None else failure.outcome
            tested.append(Tested(path, name, passed=False, differs_at=failure.differs_at, outcome=outcome))
    return tested


def _test_cleaning(definition: dict[str, Any]) -> list[Tested]:
    compiled = compile_cleaning(definition)
    failed = {one.path: one.outcome for one in compiled.failures()}
    tested = []
    for place, step in enumerate(compiled.steps):
        for number in range(len(step.examples)):
            path = f"steps[{place}].tests[{number}]"
            outcome = failed.get(path)
            outcome = NO_NORMAL_FORM if outcome is INVALID else outcome
            tested.append(Tested(path, step.normaliser, passed=path not in failed, outcome=outcome))
    return tested


def edit_treatment(*, source: Source, kind: TreatmentKind, edit: Edit, actor: str, now: datetime) -> Examined:
    """Examine a definition, and save it if nothing is wrong and what it would do has been seen.

    A plan that would stop messages that are accepted today is saved only if that is meant.

    Raises
    ------
    InvalidTreatment
        The note is too long.
    """
    examined = examine(source=source, kind=kind, text=edit.text)
    if examined.definition is None or not examined.can_be_saved or edit.checked != examined.digest:
        return examined
    if kind == TreatmentKind.PLAN and examined.trial.newly_stopped and not edit.accepts_losses:
        return examined
    saved = save_treatment(
        source=source.key, kind=kind, definition=examined.definition, note=edit.note, actor=actor, now=now
    )
    return replace(examined, saved=saved.version)


def examine_segment_plan(*, source: Source, text: str) -> Examined:
    """Take a plan over from Segment's JSON and examine it; policies and allow-list stay as they are."""
    try:
        rules = import_plan(read_definition(text))
    except InvalidTreatment as error:
        return Examined(_with_what_stays(source, {}), faults=error.errors)
    return examine(source=source, kind=TreatmentKind.PLAN, text=_with_what_stays(source, rules))


def propose_plan(*, source: Source) -> Examined:
    """Make a plan that the last accepted messages keep, and examine it; policies and allow-list stay as they are."""
    samples = read_samples(source=source, limit=PROPOSAL_SAMPLES)
    rules = infer_plan(sample.message for sample in samples if not sample.aside)
    text = _with_what_stays(source, rules)
    return examine(source=source, kind=TreatmentKind.PLAN, text=text, samples=samples[:SAMPLES])


def _with_what_stays(source: Source, rules: dict[str, Any]) -> str:
    row = find_version(source=source, kind=TreatmentKind.PLAN)
    current = row.definition if row else EMPTY[TreatmentKind.PLAN]
    kept = {name: current[name] for name in OUTSIDE_RULES if name in current}
    return write_definition({**(rules or current), **kept})
