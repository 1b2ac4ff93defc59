"""Telling recipients that a person's data was put right or is restricted; erasures have `consent.services.recipients`.

Destinations need no notice: the new value is delivered, and whoever is restricted is removed there. The request does
not wait for the others, who are told while it counts as carried out, or by an officer.

References
----------
GDPR Art. 19: any rectification, erasure or restriction is communicated to each recipient.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from cdp.core.secrets import seal
from cdp.core.services.wakeups import wake
from consent.disclosure_models import DisclosureTerms
from consent.models import PrivacyRequest
from consent.proof_models import RecipientAddress, RecipientNotice
from consent.queries.disclosures import find_fields_sent
from consent.services.closure import find_closure
from consent.services.recipients import BODY, BY_HAND, IN_HOUSE, TASK
from profiles.queries.people import name_identifier

HASHED = " (hashed)"
UNKNOWN_THERE = "OpenDSR knows erasures and copies only: tell this recipient and mark it as told."
Status = RecipientNotice.Status


def note_change(*, request: PrivacyRequest, corrections: Sequence[Mapping[str, Any]] = (), now: datetime) -> None:
    """Write down who has to be told, in the caller's transaction, which holds the lock `IDENTITY`.

    Parameters
    ----------
    corrections : sequence of ``{"trait", "value"}``
        Each recipient is told of those traits that it was sent, with the value where it had it in the clear. None: the
        person is restricted, which concerns everybody who received anything.
    """
    closure = find_closure(identities=[name_identifier(**one) for one in request.identities])
    told: dict[str, list[dict[str, Any]]] = {}
    for terms, fields in find_fields_sent(profile_ids=closure.profile_ids):
        by_destination = terms.kind == DisclosureTerms.Kind.DELIVERY and terms.destination
        if terms.kind == DisclosureTerms.Kind.REMOVAL or by_destination or terms.recipient == IN_HOUSE:
            continue
        concerned = [said for one in corrections if (said := _said_to(one, fields)) is not None]
        if concerned or not corrections:
            told.setdefault(terms.recipient, []).extend(one for one in concerned)
    protocols = dict(RecipientAddress.objects.filter(recipient__in=told).values_list("recipient", "protocol"))
    addressed = {name for name, protocol in protocols.items() if protocol == RecipientAddress.Protocol.WEBHOOK}
    identities = [{"type": kind, "value": value} for kind, value in closure.identifiers]
    RecipientNotice.objects.bulk_create(
        [
            RecipientNotice(
                request_id=request.id,
                recipient=name,
                status=Status.PENDING if name in addressed else Status.SKIPPED,
                status_message="" if name in addressed else UNKNOWN_THERE if name in protocols else BY_HAND,
                body_sealed=_body(request, identities, concerned, now) if name in addressed else None,
                created_at=now,
            )
            for name, concerned in sorted(told.items())
        ],
        ignore_conflicts=True,
    )
    if addressed:
        wake(TASK)


def _said_to(correction: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any] | None:
    """Return what a recipient of these fields is told of a correction; None if it never had the trait."""
    trait = correction["trait"]
    known = {field for field in fields if _names(field.removesuffix(HASHED), trait)}
    if not known:
        return None
    is_open = any(not field.endswith(HASHED) for field in known)
    return {"trait": trait, **({"value": correction["value"]} if is_open else {})}


def _names(field: str, trait: str) -> bool:
    return field in (trait, f"trait:{trait}") or field.startswith(f"trait:{trait}.")


def _body(
    request: PrivacyRequest, identities: Sequence[Any], corrections: Sequence[Mapping[str, Any]], now: datetime
) -> bytes:
    data = {"request_id": str(request.id), "regulation": request.regulation, "identities": identities}
    if corrections:
        # One that got the trait in several ways is told once, with the value if it had it in the clear.
        said = {one["trait"]: one for one in sorted(corrections, key=lambda one: "value" in one)}
        data["corrections"] = list(said.values())
    body = {"type": f"privacy.{request.type}", "timestamp": now.isoformat(), "data": data}
    return seal(orjson.dumps(body), context=BODY)
