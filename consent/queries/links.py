"""Links of people, found by the digest of their token; and forms."""

import hashlib
from datetime import datetime

from django.db import connection
from django.db.models import QuerySet

from consent.asking_models import Form, Link
from consent.errors import LinkGone, UnknownForm
from profiles.models import Identifier
from profiles.queries.people import Person

HOLDER = """
SELECT p.id, p.uuid::text, i.id FROM profiles_identifier i JOIN profiles_profile p ON p.id = i.profile_id
WHERE i.id = %s
"""


def digest_token(token: str) -> bytes:
    """Return the digest under which a link is found."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def get_link(*, token: str, kind: str, now: datetime) -> Link:
    """Return the link of a token.

    Raises
    ------
    LinkGone
        If there is none, if it is of another kind, was revoked, has expired, or was used and works once.
    """
    found = Link.objects.filter(digest=digest_token(token), kind=kind).select_related("notice").first()
    if found is None or found.revoked_at is not None or found.expires_at <= now:
        raise LinkGone
    if kind == Link.Kind.CONFIRM and found.used_at is not None:
        raise LinkGone
    return found


def get_holder(*, link: Link) -> Person:
    """Return the person of a link: whoever holds its identifier now.

    Raises
    ------
    LinkGone
        If nobody does.
    """
    with connection.cursor() as cursor:
        cursor.execute(HOLDER, [link.identifier_id])
        row = cursor.fetchone()
    if row is None:
        raise LinkGone
    return Person(*row)


def list_links(*, profile_id: int | None = None) -> QuerySet[Link]:
    """Return links that people were given, not those of confirmations; the caller orders them."""
    rows = Link.objects.exclude(kind=Link.Kind.CONFIRM)
    if profile_id is not None:
        held = Identifier.objects.filter(profile_id=profile_id)
        rows = rows.filter(identifier_id__in=held.values("pk"))
    return rows


def list_forms() -> QuerySet[Form]:
    """Return all forms; the caller orders them."""
    return Form.objects.all()


def get_form(*, key: str, enabled_only: bool = False) -> Form:
    """Return a form.

    Raises
    ------
    UnknownForm
        If there is none with this key, or it is switched off and only others are wanted.
    """
    found = Form.objects.filter(key=key).first()
    if found is None or (enabled_only and not found.enabled):
        raise UnknownForm
    return found
