"""Hosted forms: set up by the officer, sent in by anybody; the answer never tells whether somebody is known."""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from cdp.core.digests import derived_key
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.mail import queue_mail
from consent import decision as rules
from consent.asking_models import Form, FormUse, Link
from consent.errors import FormExists
from consent.models import Notice
from consent.queries.asking import Ask, form_text, put_in_words
from consent.queries.links import digest_token, get_form
from consent.queries.purposes import check_channel, get_notice
from consent.queries.suppressions import find_suppressed_named
from consent.services.choosing import Said, Setting, build_evidence, if_nothing_stands, lock_profile, record_said
from consent.services.links import DAYS, TOKEN_BYTES
from consent.words.catalogue import Words
from consent.words.choosing import LANGUAGES
from profiles.queries.people import Named, Person
from profiles.services.founding import FOUNDING_TYPES, find_or_found

FIELDS = ("name", "asks", "notice_key", "languages", "texts", "identifier_type", "double_opt_in", "enabled")
# A family behind one address, not a machine: a truncated address stands for 256 of them.
MOST_AN_HOUR = 30
# A mail that somebody did not ask for must not become a flood of them.
MOST_MAILS_A_DAY = 3


@dataclass(frozen=True, slots=True)
class Submission:
    """A form as it was sent in: whom it names, what was ticked, and what the page said."""

    form: Form
    named: Named
    asks: Sequence[Ask]
    notice: Notice | None
    words: Words
    evidence: Mapping[str, Any]


def create_form(*, key: str, fields: Mapping[str, Any], actor: str, now: datetime) -> Form:
    """Set a form up.

    Raises
    ------
    FormExists
        If there is one with this key.
    InvalidInput
        Naming what cannot be.
    """
    form = Form(key=key, created_at=now, **fields)
    check_form(form)
    with transaction.atomic():
        if Form.objects.filter(key=key).exists():
            raise FormExists(key)
        form.save()
        record(actor=actor, action="consent_form.created", object=f"form:{key}", now=now)
    return form


def change_form(*, key: str, fields: Mapping[str, Any], actor: str, now: datetime) -> Form:
    """Change a form; decisions made on it keep the text that was shown.

    Raises
    ------
    UnknownForm
        If there is none with this key.
    """
    with transaction.atomic():
        form = get_form(key=key)
        changed = sorted(name for name, value in fields.items() if getattr(form, name) != value)
        for name in changed:
            setattr(form, name, fields[name])
        check_form(form)
        if changed:
            form.save(update_fields=changed)
            record(
                actor=actor, action="consent_form.changed", object=f"form:{key}", detail={"fields": changed}, now=now
            )
    return form


def check_form(form: Form) -> None:
    """Refuse a form that nobody could fill in.

    Raises
    ------
    InvalidInput
        Naming the field.
    UnknownPurpose, UnknownChannel, UnknownNotice
        If it asks about what does not exist.
    """
    faults = []
    if not form.asks:
        faults.append(FieldError("asks", "required", "A form asks for at least one purpose."))
    if form.identifier_type not in FOUNDING_TYPES:
        known = " or ".join(FOUNDING_TYPES)
        faults.append(FieldError("identifier_type", "unknown", f"A form asks for {known}."))
    if form.double_opt_in and form.identifier_type != "email":
        message = "Only an e-mail address can be confirmed by mail. Switch double_opt_in off."
        faults.append(FieldError("double_opt_in", "impossible", message))
    unknown = [language for language in form.languages if language not in LANGUAGES]
    if unknown or not form.languages:
        message = f"Languages are some of {', '.join(LANGUAGES)}."
        faults.append(FieldError("languages", "unknown", message))
    if faults:
        raise InvalidInput(faults[0].message, errors=faults)
    for ask in put_in_words(asks=form.asks, words=LANGUAGES["en"]):
        check_channel(purpose=ask.purpose, channel=ask.channel or None)
    get_notice(key=form.notice_key)


def submit_form(*, submission: Submission, now: datetime) -> None:
    """Record what somebody agreed to on a form: pending until they confirm it by mail, where the form wants that.

    Notes
    -----
    Nothing tells the sender what happened: of a suppressed identifier nothing is kept; what nobody has confirmed
    neither covers a grant nor a refusal, and speaks as somebody for the person, so that it never lifts a refusal.
    """
    form, named = submission.form, submission.named
    with transaction.atomic(), connection.cursor() as cursor:
        take(cursor, IDENTITY)
        if find_suppressed_named([named]):
            return
        person = find_or_found(cursor, named=[named], now=now)[named.lookup]
        lock_profile(person.profile_id)
        state = rules.PENDING if form.double_opt_in else rules.GRANTED
        setting = Setting(
            source=f"form:{form.key}",
            recorded_by=f"form:{form.key}",
            method="form",
            actor="agent",
            notice=submission.notice,
            language=submission.words.code,
            text=form_text(form=form, asks=_all_asks(submission), notice=submission.notice, words=submission.words),
            evidence={**submission.evidence, "form": form.key},
        )
        said = [Said(ask.purpose, ask.channel, state) for ask in submission.asks]
        wanted = if_nothing_stands if form.double_opt_in else None
        record_said(person=person, said=said, setting=setting, now=now, wanted=wanted)
        if form.double_opt_in:
            _ask_to_confirm(submission, person, build_evidence(setting, now=now), now=now)


def note_use(*, form: Form, address: str, now: datetime) -> bool:
    """Count a use of a form from a network, and tell whether it may be taken.

    Parameters
    ----------
    address : str
        The sender's truncated address; kept as a keyed digest for a day.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    digest = hmac.digest(derived_key("form"), f"{form.key}\0{address}\0{hour.isoformat()}".encode(), "sha256")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO consent_formuse (digest, count, expires_at) VALUES (%s, 1, %s) "
            "ON CONFLICT (digest) DO UPDATE SET count = consent_formuse.count + 1 RETURNING count",
            [digest, hour + timedelta(days=1)],
        )
        count: int = cursor.fetchone()[0]
    return count <= MOST_AN_HOUR


def delete_old_uses(now: datetime) -> None:
    """Delete counts of uses that are a day old."""
    FormUse.objects.filter(expires_at__lt=now).delete()


def _all_asks(submission: Submission) -> list[Ask]:
    return put_in_words(asks=submission.form.asks, words=submission.words)


def _ask_to_confirm(submission: Submission, person: Person, evidence: dict[str, Any], *, now: datetime) -> None:
    assert person.identifier_id is not None
    day = now - timedelta(days=1)
    sent = Link.objects.filter(identifier_id=person.identifier_id, kind=Link.Kind.CONFIRM, created_at__gt=day)
    if sent.count() >= MOST_MAILS_A_DAY:
        return
    token = secrets.token_urlsafe(TOKEN_BYTES)
    days = DAYS[Link.Kind.CONFIRM]
    words = submission.words
    Link.objects.create(
        kind=Link.Kind.CONFIRM,
        digest=digest_token(token),
        identifier_id=person.identifier_id,
        asks=[{"purpose": ask.purpose.key, "channel": ask.channel} for ask in submission.asks],
        language=words.code,
        notice=submission.notice,
        source=f"form:{submission.form.key}",
        evidence=evidence,
        created_at=now,
        created_by=f"form:{submission.form.key}",
        expires_at=now + timedelta(days=days),
    )
    body = words.mail_body.format(
        asks="\n".join(f"- {ask.line}" for ask in submission.asks),
        days=days,
        url=f"{settings.CDP_BASE_URL}/confirm/{token}",
    )
    queue_mail(to=submission.named.value, subject=words.mail_subject, body=body, now=now)
