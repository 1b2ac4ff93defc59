"""Tracking plans: which events a source sends, what they hold, what happens to the rest, and what may be kept at all.

A plan names rules per event (JSON Schema of its properties, or of the traits), policies for what breaks them, and an
allow-list of fields. Judging a message changes it where the policy says drop, and tells what was found.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingestion.treatment.faults import Faults, members
from ingestion.treatment.keywords import Where
from ingestion.treatment.paths import EACH, PathFault, parse_path, write_path
from ingestion.treatment.schema import Schema, compile_schema
from ingestion.treatment.shapes import safe_name

CODE = "tracking_plan.invalid"
MAX_RULES = 2_000
MAX_ALLOWED = 2_000
MAX_FINDINGS = 50
MAX_TEXT = 2_000
PLANNED = {"track": "properties", "page": "properties", "screen": "properties", "identify": "traits", "group": "traits"}
PARTS = ("properties", "traits", "context")
COMMON = "common"
ALLOW, DROP, QUARANTINE = "allow", "drop", "quarantine"
POLICIES = ("violation", "unplanned_property", "unplanned_event")
# Consent is read from here, and cleaning keeps here what was sent: no allow-list takes these away.
ALWAYS_KEPT = ("consent", "consentManagement")
# The reader copies a page's own name and category to its properties.
OWN = ("name", "category")
UNPLANNED_EVENT, UNPLANNED_PROPERTY, NOT_ALLOWED = "unplanned_event", "unplanned_property", "not_allowed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the plan says about one place of a message: no values, and names only as far as they are names.

    `path` is ``""`` for the event itself; `action` is what was done: allow, drop or quarantine.
    """

    path: str
    rule: str
    action: str


@dataclass(slots=True)
class Verdict:
    """All findings of a message, and what follows for it as a whole: allow, drop or quarantine."""

    findings: list[Finding] = field(default_factory=list)
    action: str = ALLOW


@dataclass(frozen=True, slots=True)
class Rule:
    """What is planned for one event: `payload` is the schema of its properties or traits."""

    payload: Schema | None
    context: Schema | None

    def plans(self, name: str) -> bool:
        """Tell whether the payload's schema speaks of a member."""
        return self.payload is not None and self.payload.plans(name)


Tree = dict[str, Any]
"""Names → what of them is allowed; None: all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled plan."""

    rules: dict[tuple[str, str], Rule]
    common: dict[str, Rule]
    policies: dict[str, str]
    allowed: dict[str, Tree | None]
    plans_events: bool

    @property
    def is_empty(self) -> bool:
        """Tell whether the plan has nothing to say."""
        return not self.rules and not self.common and all(tree is None for tree in self.allowed.values())

    def judge(
        self,
        kind: str,
        name: str,
        properties: dict[str, Any],
        traits: dict[str, Any] | None,
        context: dict[str, Any],
    ) -> Verdict | None:
        """Hold a message against the plan, and take out of it what a policy drops.

        Parameters
        ----------
        kind : str
            Type of the message.
        name : str
            Event of a track; of other types it does not matter.
        properties, traits, context : dict
            Of the message; changed in place.

        Returns
        -------
        Verdict or None
            None: nothing was found.
        """
        part = PLANNED.get(kind)
        rule = self.rules.get((kind, name if kind == "track" else ""))
        common = self.common.get(part or "")
        payload = properties if part == "properties" else traits if part == "traits" else None
        verdict: Verdict | None = None
        if rule is None:
            if kind == "track" and self.plans_events:
                verdict = Verdict()
                self._find(verdict, "", UNPLANNED_EVENT, self.policies[UNPLANNED_EVENT])
                if verdict.action != ALLOW:
                    return verdict
        elif self.policies[UNPLANNED_PROPERTY] != ALLOW and payload and rule.payload is not None:
            verdict = self._unplanned(payload, part or "", rule, common, verdict)
        for one in (rule, common):
            if one is None:
                continue
            if one.payload is not None and payload is not None and not one.payload.holds(payload):
                verdict = self._violations(one.payload, payload, part or "", verdict)
            if one.context is not None and not one.context.holds(context):
                verdict = self._violations(one.context, context, "context", verdict)
        for where, value in (("properties", properties), ("traits", traits), ("context", context)):
            tree = self.allowed[where]
            if tree is not None and value:
                planned = (rule, common) if where == part else ()
                verdict = self._minimise(value, tree, where, planned, verdict)
        snapshot = context.get("traits")
        if snapshot.__class__ is dict:
            verdict = self._judge_snapshot(snapshot, traits if kind == "identify" else None, verdict)
        return verdict

    def _judge_snapshot(
        self, snapshot: dict[str, Any], traits: dict[str, Any] | None, verdict: Verdict | None
    ) -> Verdict | None:
        """Take out of the traits that SDKs repeat in the context what the plan takes out of the traits."""
        if traits is not None and verdict is not None:
            for name in [name for name in snapshot if name not in traits]:
                del snapshot[name]
        tree = self.allowed["traits"]
        if tree is None:
            return verdict
        planned = (self.rules.get(("identify", "")), self.common.get("traits"))
        return self._minimise(snapshot, tree, "context.traits", planned, verdict)

    def _find(self, verdict: Verdict, path: str, rule: str, action: str) -> None:
        if len(verdict.findings) < MAX_FINDINGS:
            verdict.findings.append(Finding(path, rule, action))
        if action == QUARANTINE or (rule == UNPLANNED_EVENT and action == DROP):
            verdict.action = action

    def _unplanned(
        self, payload: dict[str, Any], part: str, rule: Rule, common: Rule | None, verdict: Verdict | None
    ) -> Verdict | None:
        action = self.policies[UNPLANNED_PROPERTY]
        extra = [name for name in payload if not rule.plans(name) and not (common and common.plans(name))]
        for name in extra:
            if name in OWN and part == "properties":
                continue
            verdict = verdict or Verdict()
            self._find(verdict, write_path((part, safe_name(name))), UNPLANNED_PROPERTY, action)
            if action == DROP:
                del payload[name]
        return verdict

    def _violations(self, schema: Schema, value: dict[str, Any], part: str, verdict: Verdict | None) -> Verdict | None:
        verdict = verdict or Verdict()
        drops: list[Where] = []
        for found in schema.find(value, ()):
            rule = found.rule
            action = self.policies["violation"]
            if rule == "additionalProperties" and self.policies[UNPLANNED_PROPERTY] != ALLOW:
                action = self.policies[UNPLANNED_PROPERTY]
            if action == DROP and not _is_droppable(value, found.where):
                # What is missing cannot be dropped, and the whole message is not a property.
                action = ALLOW
            if action == DROP:
                drops.append(found.where)
            names = (safe_name(name) if isinstance(name, str) else EACH for name in found.where)
            self._find(verdict, write_path((part, *names)), rule, action)
        for where in drops:
            _drop(value, where)
        return verdict

    def _minimise(
        self,
        value: dict[str, Any],
        tree: Tree,
        part: str,
        planned: tuple[Rule | None, ...],
        verdict: Verdict | None,
    ) -> Verdict | None:
        own = OWN if part == "properties" else ()
        for where in list(_not_allowed(value, tree)):
            first = where[0]
            if part == "context" and first in ALWAYS_KEPT:
                continue
            if first in own:
                continue
            if any(rule is not None and rule.plans(first) for rule in planned):
                continue
            verdict = verdict or Verdict()
            names = (safe_name(name) if isinstance(name, str) else EACH for name in where)
            self._find(verdict, write_path((*part.split("."), *names)), NOT_ALLOWED, DROP)
            _drop(value, where)
        return verdict


def _not_allowed(value: Any, tree: Tree) -> Iterator[Where]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in tree:
                yield (name,)
            elif tree[name] is not None:
                yield from ((name, *rest) for rest in _not_allowed(inner, tree[name]))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ((index, *rest) for rest in _not_allowed(inner, tree))


def _is_droppable(value: Any, where: Where) -> bool:
    if not any(isinstance(part, str) for part in where):
        return False
    for part in where:
        if not isinstance(part, int) and part not in value:
            return False
        value = value[part]
    return True


def _drop(value: Any, where: Where) -> None:
    """Take out the member at a path, or the innermost member around an element of a list, which keeps its others."""
    while isinstance(where[-1], int):
        where = where[:-1]
    for part in where[:-1]:
        if isinstance(part, str) and (not isinstance(value, dict) or part not in value):
            return
        value = value[part]
    if isinstance(value, dict):
        value.pop(where[-1], None)


def compile_plan(definition: Any) -> Plan:
    """Check and compile a plan.

    Parameters
    ----------
    definition : object
        ``{"rules": [{"type", "event"?, "description"?, "labels"?, "schema"?, "context"?}], "policies"?: {"violation",
        "unplanned_property", "unplanned_event"}, "allow"?: {"properties", "traits", "context"}}``. Types are those of
        messages but alias, and ``common`` for all. `schema` is that of the properties (track, page, screen) or of the
        traits (identify, group). Policies are allow, drop or quarantine. Lists of `allow` hold paths of fields that
        may be kept beside the planned ones; without a list everything may.

    Raises
    ------
    InvalidTreatment
        Naming every fault.
    """
    faults = Faults(CODE)
    given = members(definition, "", {"rules": list, "policies": dict, "allow": dict, "name": str}, faults)
    listed = given.get("rules", [])
    if len(listed) > MAX_RULES:
        faults.add("rules", f"At most {MAX_RULES} rules.")
    rules: dict[tuple[str, str], Rule] = {}
    common: dict[str, Rule] = {}
    for place, one in enumerate(listed[:MAX_RULES]):
        _add_rule(one, f"rules[{place}]", rules, common, faults)
    policies = _policies(given.get("policies", {}), faults)
    allow = members(given.get("allow", {}), "allow", {part: (list, type(None)) for part in PARTS}, faults)
    allowed = {part: _tree(allow.get(part), f"allow.{part}", faults) for part in PARTS}
    faults.end()
    return Plan(rules, common, policies, allowed, any(kind == "track" for kind, _ in rules))


RULE: dict[str, Any] = {
    "type": str,
    "event": str,
    "description": str,
    "labels": dict,
    "schema": dict,
    "context": dict,
    "version": int,
}


def _add_rule(
    given: Any, path: str, rules: dict[tuple[str, str], Rule], common: dict[str, Rule], faults: Faults
) -> None:
    read = members(given, path, RULE, faults)
    kind, event = read.get("type", ""), read.get("event", "")
    if kind != COMMON and kind not in PLANNED:
        faults.add(f"{path}.type", f"This is one of {', '.join([*PLANNED, COMMON])}.")
        return
    if (kind == "track") is not bool(event.strip()):
        faults.add(f"{path}.event", "The event of a track must be named; other types have none.")
        return
    if len(read.get("description", "")) > MAX_TEXT:
        faults.add(f"{path}.description", f"A description has at most {MAX_TEXT} characters.")
    payload = compile_schema(read["schema"], f"{path}.schema", faults) if "schema" in read else None
    context = compile_schema(read["context"], f"{path}.context", faults) if "context" in read else None
    rule = Rule(payload, context)
    if kind == COMMON:
        if common:
            faults.add(path, "There is another rule for all messages.")
        common.update({"properties": rule, "traits": Rule(None, context), "": Rule(None, context)})
    elif (kind, event) in rules:
        faults.add(path, "There is another rule for the same event.")
    else:
        rules[kind, event] = rule


def _policies(given: dict[str, Any], faults: Faults) -> dict[str, str]:
    read = members(given, "policies", dict.fromkeys(POLICIES, str), faults)
    policies = dict.fromkeys(POLICIES, ALLOW) | read
    for name, policy in policies.items():
        if policy not in {ALLOW, DROP, QUARANTINE}:
            faults.add(f"policies.{name}", "A policy is allow, drop or quarantine.")
    return policies


def _tree(given: list[Any] | None, path: str, faults: Faults) -> Tree | None:
    if given is None:
        return None
    if len(given) > MAX_ALLOWED:
        faults.add(path, f"At most {MAX_ALLOWED} fields.")
        return None
    tree: Tree = {}
    for place, one in enumerate(given):
        try:
            parts = [part for part in parse_path(one if isinstance(one, str) else "") if part is not EACH]
        except PathFault as fault:
            faults.add(f"{path}[{place}]", str(fault))
            continue
        branch: Tree | None = tree
        for part in parts[:-1]:
            if branch is not None:
                branch = branch.setdefault(part or "", {})
        if branch is not None:
            branch[parts[-1] or ""] = None
    return tree
