"""Putting a trait right by hand: what stands above every message, until it is lifted."""

import unicodedata
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction

from cdp.core import locks
from cdp.core.errors import FieldError
from cdp.core.registries import correction_listeners
from cdp.core.services import audit
from profiles.errors import BadCorrection, NoSuchCorrection
from profiles.models import ChangeKind, Correction
from profiles.queries.orders import COMPUTED_TRAITS
from profiles.queries.people import Person, get_by_uuid
from profiles.queries.sealed import read_sealed_names
from profiles.queries.trait_rules import read_rules
from profiles.services.guarding import refuse_restricted
from profiles.services.merging import write_changes
from profiles.services.sealing import ensure_ciphers, seal_object
from profiles.services.settling import settle_traits
from profiles.services.splitting import note_work
from profiles.services.traits import normal_form

LONGEST_NAME = 255
LONGEST_REASON = 1_000
LARGEST_VALUE = 32 * 1024
ANCHOR = """
SELECT i.id FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE i.profile_id = %s ORDER BY t.priority, i.first_seen_at, i.id LIMIT 1
"""


def correct_trait(*, public_id: str, trait: str, value: Any, reason: str, actor: str, now: datetime) -> Correction:
    """Give a trait a value that no message changes; it takes the place of an earlier correction of the trait.

    Parameters
    ----------
    value : JSON
        None keeps the trait empty.

    Raises
    ------
    NoSuchProfile
        If there is no profile with this id.
    BadCorrection
        If the trait, the value or the reason cannot be stored.
    RestrictedProfile
        If processing of the person is restricted.
    """
    trait = unicodedata.normalize("NFC", trait).strip()
    value = normal_form(value)
    check_correction(trait=trait, value=value, reason=reason)
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        person = get_by_uuid(public_id=public_id)
        refuse_restricted(cursor, [person.profile_id], actor=actor)
        cursor.execute(ANCHOR, [person.profile_id])
        anchor = cursor.fetchone()
        anchor_id = anchor[0] if anchor else 0
        if trait in read_sealed_names(cursor) and anchor_id:
            value = seal_object({trait: value}, {trait}, ensure_ciphers(cursor, [anchor_id])[anchor_id])[trait]
        standing = Correction.objects.filter(profile_id=person.profile_id, trait=trait, lifted_at=None)
        standing.update(lifted_at=now, lifted_by=actor)
        made = Correction.objects.create(
            profile_id=person.profile_id,
            identifier_id=anchor_id,
            trait=trait,
            statement={"value": value, "reason": normal_form(reason.strip())},
            actor=actor,
            created_at=now,
        )
        detail = {"correction": made.pk, "trait": trait}
        audit.record(actor=actor, action="trait.corrected", object=f"profile:{person.uuid}", detail=detail, now=now)
        _settle(cursor, person, trait, now)
    return made


def lift_correction(*, public_id: str, correction_id: int, actor: str, now: datetime) -> Correction:
    """Let messages decide about a trait again, those that came meanwhile included.

    Raises
    ------
    NoSuchProfile
        If there is no profile with this id.
    NoSuchCorrection
        If it has no such correction, or it was lifted before.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        person = get_by_uuid(public_id=public_id)
        refuse_restricted(cursor, [person.profile_id], actor=actor)
        found = Correction.objects.filter(pk=correction_id, profile_id=person.profile_id, lifted_at=None).first()
        if found is None:
            message = "This profile has no such correction, or it was lifted before."
            raise NoSuchCorrection(message)
        found.lifted_at, found.lifted_by = now, actor
        found.save(update_fields=["lifted_at", "lifted_by"])
        detail = {"correction": found.pk, "trait": found.trait}
        audit.record(
            actor=actor, action="trait.correction_lifted", object=f"profile:{person.uuid}", detail=detail, now=now
        )
        _settle(cursor, person, found.trait, now)
    return found


def _settle(cursor: Any, person: Person, trait: str, now: datetime) -> None:
    settle_traits(cursor, wanted={person.profile_id: [trait]}, rules=read_rules(cursor))
    detail = {"names": [trait], "by_hand": True}
    write_changes(cursor, [(person.profile_id, ChangeKind.TRAITS, detail)], now)
    note_work(cursor, [person.profile_id], f"trait:{trait}", now)
    for listener in correction_listeners:
        listener(person.profile_id, trait)


def check_correction(*, trait: str, value: Any, reason: str = "") -> None:
    """Refuse what cannot be stored as a correction.

    Raises
    ------
    BadCorrection
        Saying what is wrong with it.
    """
    if not trait or len(trait) > LONGEST_NAME or trait.startswith("$") or "\0" in trait:
        _refuse("trait", f"trait must be a name of 1 to {LONGEST_NAME} characters that does not begin with $.")
    if trait in COMPUTED_TRAITS:
        _refuse("trait", f"{trait} is counted over the person's orders and cannot be corrected.")
    if len(orjson.dumps(value)) > LARGEST_VALUE:
        _refuse("value", f"The value is larger than {LARGEST_VALUE // 1024} KB.")
    if len(reason) > LONGEST_REASON or "\0" in reason:
        _refuse("reason", f"The reason has at most {LONGEST_REASON} characters.")


def _refuse(path: str, message: str) -> None:
    raise BadCorrection(message, errors=[FieldError(path, BadCorrection.code, message)])
