"""Cleaning: an ordered list of normalisers for fields of a message, each with tests beside it.

The message keeps the normal form, which identity and segments read; what was sent stays in its context under `RAW`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ingestion.treatment.conditions import Condition, compile_condition, read_path, same
from ingestion.treatment.faults import Faults, members
from ingestion.treatment.normalisers import INVALID, Normalise, make_normaliser
from ingestion.treatment.paths import EACH, Path, exact_path, write, write_path
from ingestion.treatment.plans import ALLOW, DROP, Finding

CODE = "cleaning.invalid"
RAW = "cdp_raw"
"""Member of an event's context: exact path → the value as it was sent."""

MAX_STEPS = 200
MAX_TESTS = 50
MAX_RAW = 200
ROOTS = ("properties", "traits", "context")
STEP: dict[str, Any] = {
    "field": str,
    "normaliser": str,
    "options": dict,
    "on_invalid": str,
    "to": str,
    "name": str,
    "when": (dict, type(None)),
    "tests": list,
}


@dataclass(frozen=True, slots=True)
class Example:
    """A test: a value, and its normal form (`INVALID`: it has none)."""

    given: Any
    expected: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One normaliser for one field. With `to` the normal form goes there and the field stays as it is."""

    field: Path
    normaliser: str
    normalise: Normalise
    drops_invalid: bool
    to: Path | None
    applies: Condition | None
    examples: tuple[Example, ...]

    @property
    def rule(self) -> str:
        """The name under which values without a normal form are counted."""
        return f"clean_{self.normaliser}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A test whose outcome was another."""

    path: str
    outcome: Any


@dataclass(frozen=True, slots=True)
class Cleaning:
    """All steps of a source."""

    steps: tuple[Step, ...]

    def run(self, message: dict[str, Any], kind: str) -> list[Finding]:
        """Clean a message in place.

        Parameters
        ----------
        message : dict
            `event`, `properties`, `traits` (None where it has none) and `context`; what was sent is noted in the
            context.

        Returns
        -------
        list of Finding
            The values that have no normal form.
        """
        findings: list[Finding] = []
        raw: dict[str, Any] = {}
        for step in self.steps:
            if step.applies is not None and not step.applies(message, kind):
                continue
            for container, key, where in _spots(message, step.field, 0, ()):
                value = container[key]
                if value is None or value == "":
                    continue
                normal = step.normalise(value)
                if normal is INVALID:
                    findings.append(Finding(write_path(where), step.rule, DROP if step.drops_invalid else ALLOW))
                    if step.drops_invalid and isinstance(container, dict):
                        raw.setdefault(exact_path(where), value)
                        del container[key]
                elif step.to is not None:
                    write(message, step.to, normal)
                elif not same(normal, value) or type(normal) is not type(value):
                    raw.setdefault(exact_path(where), value)
                    container[key] = normal
        if raw:
            message["context"][RAW] = dict(list(raw.items())[:MAX_RAW])
        return findings

    def failures(self) -> list[Failure]:
        """Run every test and return those that fail."""
        found = []
        for place, step in enumerate(self.steps):
            for number, example in enumerate(step.examples):
                outcome = step.normalise(example.given)
                if outcome is INVALID or example.expected is INVALID:
                    good = outcome is example.expected
                else:
                    good = same(outcome, example.expected)
                if not good:
                    found.append(Failure(f"steps[{place}].tests[{number}]", outcome))
        return found


def _spots(value: Any, path: Path, at: int, where: tuple[Any, ...]) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Yield container, key and exact place of each value at a path; the container may lose the key meanwhile."""
    part = path[at]
    last = at == len(path) - 1
    if part is EACH:
        if value.__class__ is list:
            for index in range(len(value)):
                if last:
                    yield value, index, (*where, index)
                else:
                    yield from _spots(value[index], path, at + 1, (*where, index))
    elif value.__class__ is dict and part in value:
        if last:
            yield value, part, (*where, part)
        else:
            yield from _spots(value[part], path, at + 1, (*where, part))


def compile_cleaning(definition: Any) -> Cleaning:
    """Check and compile a definition.

    Parameters
    ----------
    definition : object
        ``{"steps": [{"field", "normaliser", "options"?, "on_invalid"?: keep or drop, "to"?, "when"?, "tests"?:
        [{"input", "output"} or {"input", "invalid": true}]}]}``. Normalisers and their options are those of
        `NORMALISERS`.

    Raises
    ------
    InvalidTreatment
        Naming every fault. Tests are not run: see `Cleaning.failures`.
    """
    faults = Faults(CODE)
    given = members(definition, "", {"steps": list}, faults)
    listed = given.get("steps", [])
    if len(listed) > MAX_STEPS:
        faults.add("steps", f"At most {MAX_STEPS} steps.")
    steps = [_step(one, f"steps[{place}]", faults) for place, one in enumerate(listed[:MAX_STEPS])]
    faults.end()
    return Cleaning(tuple(step for step in steps if step is not None))


def _step(given: Any, path: str, faults: Faults) -> Step | None:
    read = members(given, path, STEP, faults)
    name = read.get("normaliser", "")
    field = _field(read.get("field"), f"{path}.field", faults)
    normalise = make_normaliser(name, read.get("options", {}), path, faults)
    on_invalid = read.get("on_invalid", "keep")
    if on_invalid not in {"keep", "drop"}:
        faults.add(f"{path}.on_invalid", "This is keep or drop.")
    to = _field(read["to"], f"{path}.to", faults) if "to" in read else None
    if to is not None and EACH in to:
        faults.add(f"{path}.to", "[] cannot stand here: name one place.")
    if name == "transliterate" and "to" not in read:
        faults.add(f"{path}.to", "Transliterated text is for matching only: name the field that takes it.")
    applies = compile_condition(read.get("when"), f"{path}.when", faults)
    examples = _examples(read.get("tests", []), f"{path}.tests", faults)
    if field is None or normalise is None:
        return None
    return Step(field, name, normalise, on_invalid == "drop", to, applies, examples)


def _field(given: Any, path: str, faults: Faults) -> Path | None:
    parts = read_path(given, path, faults)
    if parts is None:
        return None
    if parts[0] not in ROOTS or len(parts) < 2 or parts[:2] == ("context", RAW):
        faults.add(path, "A field lies in properties, traits or context, such as traits.email.")
        return None
    return parts


def _examples(given: list[Any], path: str, faults: Faults) -> tuple[Example, ...]:
    if len(given) > MAX_TESTS:
        faults.add(path, f"At most {MAX_TESTS} tests.")
    found = []
    for place, one in enumerate(given[:MAX_TESTS]):
        read = members(one, f"{path}[{place}]", {"input": object, "output": object, "invalid": bool}, faults)
        if "input" not in read or ("output" in read) is bool(read.get("invalid")):
            faults.add(f"{path}[{place}]", "A test needs an input, and an output or invalid: true.")
            continue
        found.append(Example(read["input"], INVALID if read.get("invalid") else read["output"]))
    return tuple(found)
