"""Purposes and notices."""

from django.db.models import Max, QuerySet

from consent.errors import UnknownChannel, UnknownNotice, UnknownPurpose
from consent.models import Notice, Purpose
from consent.tcf.mapping import Mapped


def list_purposes() -> QuerySet[Purpose]:
    """Return all purposes; the caller orders them."""
    return Purpose.objects.all()


def read_latest_notices() -> dict[tuple[str, str], int]:
    """Return the latest version of each notice, by its key and language."""
    rows = Notice.objects.values_list("key", "language").annotate(latest=Max("version"))
    return {(key, language): latest for key, language, latest in rows}


def get_purpose(*, key: str) -> Purpose:
    """Return a purpose.

    Raises
    ------
    UnknownPurpose
        If there is none with this key.
    """
    purpose = Purpose.objects.filter(key=key).first()
    if purpose is None:
        raise UnknownPurpose(key)
    return purpose


def check_channel(*, purpose: Purpose, channel: str | None) -> None:
    """Refuse a channel that the purpose does not have; None, for all channels, is always allowed.

    A purpose that lists no channels takes any.

    Raises
    ------
    UnknownChannel
        A misspelt channel must not read as "unknown" for ever, nor record a choice that nothing heeds.
    """
    if channel is not None and purpose.channels and channel not in purpose.channels:
        raise UnknownChannel(channel, allowed=purpose.channels)


def map_purposes() -> dict[int, tuple[str, Mapped]]:
    """Return, by purpose id, its key and what signals mean for it (default category: its own key)."""
    rows = Purpose.objects.values_list("id", "key", "consent_categories", "tcf_purposes", "consent_mode", "gpc")
    return {
        purpose_id: (key, Mapped(tuple(own) or (key,), tuple(tcf), tuple(mode), gpc))
        for purpose_id, key, own, tcf, mode, gpc in rows
    }


def list_notices() -> QuerySet[Notice]:
    """Return all versions of all notices; the caller orders them."""
    return Notice.objects.all()


def get_notice(*, key: str, language: str | None = None, version: int | None = None) -> Notice:
    """Return one version of a notice: the latest, unless one is named.

    Raises
    ------
    UnknownNotice
        If there is none.
    """
    rows = Notice.objects.filter(key=key)
    if language is not None:
        rows = rows.filter(language=language)
    if version is not None:
        rows = rows.filter(version=version)
    notice = rows.order_by("-version", "-id").first()
    if notice is None:
        raise UnknownNotice("There is no such version of this notice.")
    return notice
