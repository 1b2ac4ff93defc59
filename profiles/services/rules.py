"""Saving identity rules: checked, versioned, in force from the next batch; a job applies them to what is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from cdp.core.errors import FieldError
from cdp.core.services import audit
from profiles.errors import InvalidRules, NoSuchRulesVersion, RulesConflict
from profiles.identity.rules import RuleSet, TypeDefinition, parse_rules, write_rules
from profiles.models import Identifier, IdentifierType, IdentitySettings, RulesRun, RulesVersion
from profiles.queries.rules import read_types, rule_set
from profiles.services.rules_runs import start_run

MOST_NOTE = 300
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class SavedRules:
    """What a save made: the version in force, and the run that applies it (None: nothing changed)."""

    version: int
    run: RulesRun | None


def check_rules(definition: Any) -> RuleSet:
    """Read a definition and hold it against what is stored.

    Raises
    ------
    InvalidRules
        Naming every fault with its path.
    """
    rules, faults = parse_rules(definition)
    if not faults:
        faults = _faults_of_use(rules, {row.key: row for row in read_types()})
    if faults:
        message = f"Nothing was changed. The first fault is {faults[0].path}: {faults[0].message}"
        raise InvalidRules(message, errors=faults)
    return rules


def _faults_of_use(rules: RuleSet, rows: dict[str, IdentifierType]) -> list[FieldError]:
    """Return what cannot be changed because identifiers of the type exist."""
    faults = []
    places = {key: place for place, key in enumerate(rules)}
    current = rule_set(rows.values())
    for key, row in rows.items():
        new = rules.get(key)
        if new is not None and new.normaliser == current[key].normaliser:
            continue
        if not Identifier.objects.filter(type=row).exists():
            continue
        if new is None:
            told = f"There are identifiers of the type {key}: keep it, with source_kinds [] so that nothing asserts it."
            faults.append(FieldError("types", "rules.in_use", told))
        else:
            told = f"There are identifiers of the type {key} in the form {current[key].normaliser}: make a new type."
            faults.append(FieldError(f"types[{places[key]}].normaliser", "rules.in_use", told))
    return faults


def save_rules(
    *, definition: Any, note: str = "", based_on: int | None = None, actor: str, now: datetime
) -> SavedRules:
    """Put rules in force as a new version; the same again changes nothing.

    Parameters
    ----------
    based_on : int or None
        The version that the caller changed; None does not ask.
    note : str
        Why, for the history.

    Raises
    ------
    InvalidRules
        The definition has faults.
    RulesConflict
        Another version is in force than the one that the caller changed.
    """
    if len(note) > MOST_NOTE or "\0" in note:
        message = f"A note has at most {MOST_NOTE} characters."
        raise InvalidRules(message, errors=[FieldError("note", "rules.invalid", message)])
    with transaction.atomic():
        settings, _ = IdentitySettings.objects.select_for_update().get_or_create(id=1)
        if based_on is not None and based_on != settings.version:
            message = f"Version {settings.version} is in force by now, not {based_on}: read it, then change it again."
            raise RulesConflict(message)
        rules = check_rules(definition)
        rows = {row.key: row for row in read_types()}
        before = rule_set(rows.values())
        if before == rules:
            return SavedRules(settings.version, None)
        _keep_first_version(settings.version, before, now)
        made = RulesVersion.objects.create(
            version=settings.version + 1, definition=write_rules(rules), note=note, created_at=now, created_by=actor
        )
        IdentitySettings.objects.filter(pk=settings.pk).update(version=made.version)
        for key, one in rules.items():
            _write_type(rows.get(key), one)
        for key, row in rows.items():
            if key not in rules:
                row.delete()
        audit.record(
            actor=actor,
            action="identity_rules.saved",
            object=f"identity_rules:{made.version}",
            detail={"version": made.version, "note": bool(note)},
            now=now,
        )
        run = start_run(
            kind=RulesRun.Kind.APPLY, version=made.version, before=before, after=rules, actor=actor, now=now
        )
    return SavedRules(made.version, run)


def try_rules(*, definition: Any, actor: str, now: datetime) -> RulesRun:
    """Start a dry run: what these rules would mean for all that is stored; nothing is changed.

    Raises
    ------
    InvalidRules
        The definition has faults.
    """
    rules = check_rules(definition)
    with transaction.atomic():
        before = rule_set(read_types())
        settings, _ = IdentitySettings.objects.get_or_create(id=1)
        return start_run(
            kind=RulesRun.Kind.DRY, version=settings.version, before=before, after=rules, actor=actor, now=now
        )


def get_rules_version(*, version: int) -> RulesVersion:
    """Return a version of the rules.

    Raises
    ------
    NoSuchRulesVersion
        There is none with this number.
    """
    found = RulesVersion.objects.filter(version=version).first()
    if found is None:
        message = "No version of the rules has this number."
        raise NoSuchRulesVersion(message)
    return found


def set_mega_limits(*, identifiers: int, events: int, actor: str, now: datetime) -> None:
    """Say from how many identifiers or events on a profile is listed as a mega-profile."""
    with transaction.atomic():
        IdentitySettings.objects.get_or_create(id=1)
        IdentitySettings.objects.filter(pk=1).update(mega_identifiers=identifiers, mega_events=events)
        detail = {"identifiers": identifiers, "events": events}
        audit.record(actor=actor, action="mega_profiles.limits_set", object="identity_rules", detail=detail, now=now)


def _keep_first_version(version: int, rules: RuleSet, now: datetime) -> None:
    RulesVersion.objects.get_or_create(
        version=version,
        defaults={"definition": write_rules(rules), "created_at": now, "created_by": SYSTEM},
    )


def _write_type(row: IdentifierType | None, one: TypeDefinition) -> None:
    row = row or IdentifierType(key=one.key)
    row.name = one.name
    row.priority = one.priority
    row.normaliser = one.normaliser
    row.value_limit = one.limit
    row.limit_window = one.window or ""
    row.sharing_limit = one.sharing_limit
    row.blocked_values = list(one.blocked_values)
    row.blocked_patterns = list(one.blocked_patterns)
    row.source_kinds = None if one.source_kinds is None else list(one.source_kinds)
    row.link_purpose = one.link_purpose or ""
    row.save()
