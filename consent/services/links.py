"""Links by which people see and change their own consents: made, revoked, and what is done by them."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import record
from consent import decision as rules
from consent.asking_models import Link
from consent.errors import LinkGone, NoIdentifier, UnknownLink
from consent.queries.asking import list_choices, page_text, put_in_words
from consent.queries.desk import find_strongest_identifier
from consent.queries.links import digest_token, get_link
from consent.queries.purposes import check_channel
from consent.services.choosing import Said, Setting, hold_holder, record_said, unless_refused
from consent.words.catalogue import Words
from profiles.queries.people import Named, find_by_identifier, get_by_uuid

TOKEN_BYTES = 32
# Mails are read late, and whoever reads one must still be able to unsubscribe.
DAYS = {Link.Kind.PREFERENCES: 90, Link.Kind.UNSUBSCRIBE: 730, Link.Kind.CONFIRM: 7}
MOST_DAYS = 1_095


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link to be made for a person. Exactly one of `profile_uuid` and `identifier` is given.

    `asks` is a list of ``{"purpose", "channel"}``; needed to unsubscribe, left out for preferences.
    """

    kind: str
    created_by: str
    profile_uuid: str | None = None
    identifier: Named | None = None
    asks: Sequence[Mapping[str, str]] = ()
    language: str = ""
    days: int | None = None


def create_link(*, new: NewLink, words: Words, now: datetime) -> tuple[Link, str]:
    """Make a link for a person.

    Returns
    -------
    (Link, str)
        The row and its token, which is shown once and kept as a digest only.

    Raises
    ------
    NoSuchProfile
        If no profile has the id or identifier.
    UnknownPurpose, UnknownChannel
        If the link asks about what does not exist.
    """
    if new.kind == Link.Kind.UNSUBSCRIBE and not new.asks:
        message = "A link to unsubscribe needs the purpose that it ends."
        raise InvalidInput(message, errors=[FieldError("purpose", "required", message)])
    for ask in put_in_words(asks=new.asks, words=words):
        check_channel(purpose=ask.purpose, channel=ask.channel or None)
    identifier_id = _identifier_of(new)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        link = Link.objects.create(
            kind=new.kind,
            digest=digest_token(token),
            identifier_id=identifier_id,
            asks=[dict(one) for one in new.asks],
            language=new.language,
            created_at=now,
            created_by=new.created_by,
            expires_at=now + timedelta(days=new.days or DAYS[Link.Kind(new.kind)]),
        )
        detail = {"kind": link.kind, "asks": link.asks}
        record(actor=new.created_by, action="preference_link.created", object=f"link:{link.pk}", detail=detail, now=now)
    return link, token


def revoke_link(*, link_id: int, actor: str, now: datetime) -> Link:
    """Make a link useless; doing it again changes nothing.

    Raises
    ------
    UnknownLink
        If there is none with this id.
    """
    with transaction.atomic():
        link = Link.objects.select_for_update().filter(pk=link_id).first()
        if link is None:
            raise UnknownLink
        if link.revoked_at is None:
            link.revoked_at = now
            link.save(update_fields=["revoked_at"])
            record(actor=actor, action="preference_link.revoked", object=f"link:{link.pk}", now=now)
    return link


def change_preferences(
    *,
    token: str,
    shown: Collection[str],
    allowed: Collection[str],
    words: Words,
    evidence: Mapping[str, Any],
    now: datetime,
) -> int:
    """Record what differs between what a person allows now and what stood.

    Parameters
    ----------
    shown : collection of str
        The cells (``PURPOSE:CHANNEL``) that the page showed; of others nothing is said.
    allowed : collection of str
        Those of them that are ticked.

    Returns
    -------
    int
        How many decisions were recorded.

    Raises
    ------
    LinkGone
        If the link does not work.
    """
    with transaction.atomic():
        link = get_link(token=token, kind=Link.Kind.PREFERENCES, now=now)
        person = hold_holder(link=link)
        choices = [
            choice
            for choice in list_choices(profile_id=person.profile_id, words=words, now=now)
            if choice.ask.cell in shown
        ]
        said = [
            Said(
                choice.ask.purpose,
                choice.ask.channel,
                rules.GRANTED if choice.ask.cell in allowed else _no(choice.ask.purpose.legal_basis),
            )
            for choice in choices
            if choice.allowed != (choice.ask.cell in allowed)
        ]
        setting = Setting(
            source="preferences",
            recorded_by=f"link:{link.pk}",
            method="preference_centre",
            language=words.code,
            text=page_text(
                title=words.preferences_title,
                intro=words.preferences_intro,
                asks=[choice.ask for choice in choices],
            ),
            evidence={**evidence, "link": link.pk},
        )
        recorded = record_said(person=person, said=said, setting=setting, now=now) if said else []
        Link.objects.filter(pk=link.pk, used_at=None).update(used_at=now)
    return len(recorded)


def unsubscribe(*, token: str, method: str, words: Words, evidence: Mapping[str, Any], now: datetime) -> int:
    """End what a link is for; where it is ended already nothing is recorded.

    Parameters
    ----------
    method : str
        ``one_click`` or ``unsubscribe_page``.

    Raises
    ------
    LinkGone
        If the link does not work.

    References
    ----------
    RFC 8058: List-Unsubscribe=One-Click by POST, without any further question.
    """
    with transaction.atomic():
        link = get_link(token=token, kind=Link.Kind.UNSUBSCRIBE, now=now)
        person = hold_holder(link=link)
        asks = put_in_words(asks=link.asks, words=words)
        setting = Setting(
            source="unsubscribe",
            recorded_by=f"link:{link.pk}",
            method=method,
            language=words.code,
            text=page_text(title=words.unsubscribe_title, intro=words.unsubscribe_ask, asks=asks),
            evidence={**evidence, "link": link.pk},
        )
        said = [Said(ask.purpose, ask.channel, _no(ask.purpose.legal_basis)) for ask in asks]
        recorded = record_said(person=person, said=said, setting=setting, now=now, wanted=unless_refused)
        Link.objects.filter(pk=link.pk, used_at=None).update(used_at=now)
    return len(recorded)


def confirm(*, token: str, words: Words, evidence: Mapping[str, Any], now: datetime) -> None:
    """Turn what a form left pending into grants; the link works once.

    Raises
    ------
    LinkGone
        If the link does not work, or was used.
    """
    with transaction.atomic():
        get_link(token=token, kind=Link.Kind.CONFIRM, now=now)
        # Of two clicks at once the second waits here, and finds the link used.
        won = Link.objects.filter(digest=digest_token(token), used_at=None).update(used_at=now)
        link = Link.objects.select_related("notice").filter(digest=digest_token(token)).first()
        if not won or link is None:
            raise LinkGone
        person = hold_holder(link=link)
        asks = put_in_words(asks=link.asks, words=words)
        setting = Setting(
            source=link.source,
            recorded_by=f"link:{link.pk}",
            method="double_opt_in",
            notice=link.notice,
            evidence={
                **link.evidence,
                "submitted_at": link.created_at.isoformat(),
                "confirmation": {"mail": link.pk, "language": words.code, **evidence},
            },
        )
        said = [Said(ask.purpose, ask.channel, rules.GRANTED) for ask in asks]
        record_said(person=person, said=said, setting=setting, now=now)


def delete_old_links(now: datetime) -> None:
    """Delete links a month after their end: until then an officer can see what became of them."""
    Link.objects.filter(expires_at__lt=now - timedelta(days=30)).delete()


def _identifier_of(new: NewLink) -> int:
    if new.identifier is not None:
        person = find_by_identifier(named=new.identifier)
        if person is not None and person.identifier_id is not None:
            return person.identifier_id
    profile_id = get_by_uuid(public_id=new.profile_uuid or "").profile_id
    strongest = find_strongest_identifier(profile_id=profile_id)
    if strongest is None:
        raise NoIdentifier
    return strongest.pk


def _no(legal_basis: str) -> str:
    """Return what a no is: of consent a denial, which the ledger makes a withdrawal; else an objection."""
    return rules.DENIED if legal_basis == rules.CONSENT else rules.OBJECTED
