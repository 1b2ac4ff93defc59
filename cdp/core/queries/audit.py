"""Reading the audit trail."""

from datetime import datetime

from django.db.models import QuerySet

from cdp.core.models import AuditEntry


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
