"""Legal holds with what they keep, and recipients that are still to be told of an erasure."""

from django.db.models import Count, Max, Q, QuerySet

from consent.proof_models import LegalHold, RecipientAddress, RecipientNotice

Status = RecipientNotice.Status


def list_holds() -> QuerySet[LegalHold]:
    """Return all legal holds by key, each with how many rows it keeps and until when the last one stays."""
    return LegalHold.objects.annotate(kept=Count("rows"), last_until=Max("rows__until")).order_by("key")


def list_addresses() -> QuerySet[RecipientAddress]:
    """Return where recipients are told, by recipient."""
    return RecipientAddress.objects.order_by("recipient")


def list_notices(*, only_open: bool) -> QuerySet[RecipientNotice]:
    """Return who was told of which erasure; the caller orders them.

    Parameters
    ----------
    only_open : bool
        Only who does not know yet and has to: waiting, given up, or without an address.
    """
    rows = RecipientNotice.objects.all()
    return rows.filter(~Q(status=Status.COMPLETED), answer="") if only_open else rows
