"""Trying a definition on recent messages before it is saved; nothing is written."""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingestion.errors import PlanStopsMessages
from ingestion.models import Source
from ingestion.queries.samples import Sample
from ingestion.services.treating import find_treatment
from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.plans import ALLOW, Finding, compile_plan
from ingestion.treatment.transformations import compile_transformations
from ingestion.treatment.treatment import Treated, Treatment

MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Tried:
    """One sample before and after; `after` None: it would be stopped, for `findings` or by a filter."""

    sample: Sample
    after: dict[str, Any] | None
    findings: tuple[Finding, ...] = ()

    @property
    def is_changed(self) -> bool:
        """Tell whether anything would differ."""
        return self.after != self.sample.message

    @property
    def is_newly_stopped(self) -> bool:
        """Tell whether a message that was accepted would not be any more."""
        return self.after is None and not self.sample.aside


def try_transformations(*, definition: Any, samples: Sequence[Sample]) -> list[Tried]:
    """Return what the transformations would make of recent messages; tests are not run.

    Raises
    ------
    InvalidTreatment
        The definition has faults.
    """
    compiled = compile_transformations(definition)
    tried = []
    for sample in samples:
        message = copy.deepcopy(sample.message)
        tried.append(Tried(sample, message if compiled.run(message, "") else None))
    return tried


def try_plan(*, source: Source, definition: Any, samples: Sequence[Sample]) -> list[Tried]:
    """Return what the plan would say to recent messages, once the source's transformations have run.

    Raises
    ------
    InvalidTreatment
        The definition has faults.
    """
    current = find_treatment(source) or Treatment()
    return _try(samples, replace(current, plan=compile_plan(definition), cleaning=None), current)


def try_cleaning(*, source: Source, definition: Any, samples: Sequence[Sample]) -> list[Tried]:
    """Return what the cleaning would make of recent messages, once transformations and plan have run.

    Raises
    ------
    InvalidTreatment
        The definition has faults.
    """
    current = find_treatment(source) or Treatment()
    return _try(samples, replace(current, cleaning=compile_cleaning(definition)), replace(current, cleaning=None))


def _try(samples: Sequence[Sample], wanted: Treatment, current: Treatment) -> list[Tried]:
    tried = []
    for sample in samples:
        before = copy.deepcopy(sample.message)
        if sample.is_raw and current.transformations is not None and not current.transformations.run(before, ""):
            continue
        if wanted.cleaning is not None and current.plan is not None:
            # What the plan in force takes out is not what cleaning changes.
            if _treat(before, replace(current, transformations=None, cleaning=None)).action != ALLOW:
                continue
            wanted = replace(wanted, plan=None)
        after = copy.deepcopy(before)
        treated = _treat(after, wanted)
        stopped = treated.action != ALLOW
        tried.append(Tried(replace(sample, message=before), None if stopped else after, tuple(treated.findings)))
    return tried


def _treat(message: dict[str, Any], treatment: Treatment) -> Treated:
    """Run plan and cleaning on a message in place, as the reader would."""
    treated = Treated(treatment, {})
    kind = message.get("type")
    kind = kind if isinstance(kind, str) else ""
    parts: dict[str, dict[str, Any]] = {}
    for name in ("properties", "traits", "context"):
        part = message.get(name)
        parts[name] = part if isinstance(part, dict) else {}
    has_traits = kind in {"identify", "group"}
    if kind == "identify" and isinstance(parts["context"].get("traits"), dict):
        parts["traits"] = {**parts["context"]["traits"], **parts["traits"]}
    event = message.get("event")
    name = event if isinstance(event, str) else ""
    treated(kind, name, parts["properties"], parts["traits"] if has_traits else None, parts["context"], [])
    for name, part in parts.items():
        if part and (name != "traits" or has_traits):
            message[name] = part
    return treated


@dataclass(frozen=True, slots=True)
class Trial:
    """Many tried samples in numbers. `rules` counts messages per (type, event, path, rule, action)."""

    samples: int
    changed: int
    newly_stopped: int
    rules: list[tuple[tuple[str, str, str, str, str], int]]


def sum_up(tried: Sequence[Tried]) -> Trial:
    """Return what was tried in numbers, the most frequent findings first."""
    counts: Counter[tuple[str, str, str, str, str]] = Counter()
    for one in tried:
        message = one.sample.message
        kind, event = str(message.get("type", "")), message.get("event")
        named = event if kind == "track" and isinstance(event, str) else ""
        counts.update({(kind, named, found.path, found.rule, found.action) for found in one.findings})
    return Trial(
        samples=len(tried),
        changed=sum(one.is_changed for one in tried),
        newly_stopped=sum(one.is_newly_stopped for one in tried),
        rules=sorted(counts.items(), key=lambda one: (-one[1], one[0])),
    )


def refuse_plan_that_stops(*, source: Source, definition: Any, samples: Sequence[Sample]) -> Trial:
    """Hold a plan against recent traffic, and refuse it where it would stop what is accepted today.

    Raises
    ------
    PlanStopsMessages
        Some of the samples would go to quarantine or be rejected.
    """
    trial = sum_up(try_plan(source=source, definition=definition, samples=samples))
    if trial.newly_stopped:
        stopping = [one for one in trial.rules if one[0][4] != ALLOW][:MAX_NAMED]
        named = "; ".join(f"{event or kind} {path}: {rule} ({n})" for (kind, event, path, rule, _), n in stopping)
        message = (
            f"{trial.newly_stopped} of the last {trial.samples} messages would not be accepted any more: {named}. "
            "Change the plan or its policies, or save it with accept_losses: true."
        )
        raise PlanStopsMessages(message)
    return trial
