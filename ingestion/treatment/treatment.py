"""All that one source does to its messages, compiled: transformations, then the plan, then cleaning."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ingestion.treatment.cleaning import Cleaning
from ingestion.treatment.plans import ALLOW, DROP, QUARANTINE, Finding, Plan
from ingestion.treatment.transformations import Transformations

# Reasons of outcomes.
FILTERED = "filtered"
UNUSABLE = "treatment_unusable"
PLAN_VIOLATION = "plan_violation"
UNPLANNED_EVENT = "plan_unplanned_event"
# Warnings of accepted messages.
VIOLATES_PLAN = "plan_violation"
FIELDS_DROPPED = "plan_dropped_fields"
NOT_CLEAN = "not_clean"
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Treatment:
    """The compiled parts; None where the source has none.

    `is_unusable`: a saved definition does not compile with this version of the product, so no message may pass by it.
    """

    transformations: Transformations | None = None
    plan: Plan | None = None
    cleaning: Cleaning | None = None
    is_unusable: bool = False

    @property
    def is_empty(self) -> bool:
        """Tell whether messages pass unchanged."""
        return not (self.transformations or self.plan or self.cleaning or self.is_unusable)


Notice = Callable[[str, str, dict[str, Any], dict[str, Any] | None], None]
"""Is told type, name, properties and traits of each message before the plan takes anything away."""


class Treated:
    """Plan and cleaning of one message, called by the reader; afterwards it tells what was found.

    `action` is quarantine or drop where the plan stops the message as a whole, else allow.
    """

    __slots__ = ("action", "event", "findings", "kind", "notice", "shared", "treatment")

    def __init__(self, treatment: Treatment, shared: dict[str, Any], notice: Notice | None = None) -> None:
        self.treatment = treatment
        self.shared = shared
        self.notice = notice
        self.findings: list[Finding] = []
        self.action = ALLOW
        self.kind = ""
        self.event = ""

    def __call__(
        self,
        kind: str,
        name: str,
        properties: dict[str, Any],
        traits: dict[str, Any] | None,
        context: dict[str, Any],
        warnings: list[str],
    ) -> None:
        """Hold the parts of a message against the plan, and clean them, in place."""
        self.kind, self.event = kind, name if kind == "track" else ""
        for key in self.shared:
            # What the request gave to all its messages must not be changed for the others.
            if context.get(key).__class__ in (dict, list):
                context[key] = copy.deepcopy(context[key])
        if self.notice is not None:
            self.notice(kind, name, properties, traits)
        plan, cleaning = self.treatment.plan, self.treatment.cleaning
        if plan is not None:
            verdict = plan.judge(kind, name, properties, traits, context)
            if verdict is not None:
                self.findings = verdict.findings
                self.action = verdict.action
                if verdict.action != ALLOW:
                    return
                if any(one.action == DROP for one in verdict.findings):
                    warnings.append(FIELDS_DROPPED)
                if any(one.action == ALLOW for one in verdict.findings):
                    warnings.append(VIOLATES_PLAN)
        if cleaning is not None:
            message = {"event": name, "properties": properties, "traits": traits, "context": context}
            not_clean = cleaning.run(message, kind)
            if not_clean:
                self.findings = [*self.findings, *not_clean]
                warnings.append(NOT_CLEAN)

    def reason(self) -> tuple[str, str]:
        """Return code and sentence of a message that the plan stops: places and rules, no values."""
        if self.action == DROP:
            return UNPLANNED_EVENT, "The tracking plan of this source has no such event, and drops what it lacks."
        told = [one for one in self.findings if one.action == QUARANTINE]
        named = "; ".join(f"{one.path or 'the event'}: {one.rule}" for one in told[:MAX_NAMED])
        more = f" and {len(told) - MAX_NAMED} more" if len(told) > MAX_NAMED else ""
        return PLAN_VIOLATION, f"The message breaks the source's tracking plan: {named}{more}."
