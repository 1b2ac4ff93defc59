"""Reading the audit trail."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from cdp.core.models import AuditEntry, User


def find_entries(
    *,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Return the entries that match everything given, unordered.

    Parameters
    ----------
    since, until : datetime or None
        From `since` on, before `until`.
    """
    entries = AuditEntry.objects.all()
    if actor:
        entries = entries.filter(actor=actor)
    if action:
        entries = entries.filter(action=action)
    if object:
        entries = entries.filter(object=object)
    if since is not None:
        entries = entries.filter(at__gte=since)
    if until is not None:
        entries = entries.filter(at__lt=until)
    return entries


def name_people(names: Iterable[str]) -> dict[str, str]:
    """Return the address of each account among names as the trail writes them (``user:7``), in one statement."""
    ids = {name: name.removeprefix("user:") for name in names if name.startswith("user:")}
    known = dict(User.objects.filter(pk__in=[pk for pk in ids.values() if pk.isdecimal()]).values_list("pk", "email"))
    return {name: known[int(pk)] for name, pk in ids.items() if pk.isdecimal() and int(pk) in known}
