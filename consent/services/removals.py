"""Following the removals that an erasure left at destinations, to the receiver's answer.

An erasure is completed only when each destination that held the person has confirmed the removal, or an officer has
said what became of it.

References
----------
GDPR Art. 19.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from cdp.core.registries import removal_watches
from consent.models import PrivacyRequest
from consent.proof_models import RecipientNotice
from consent.queries.disclosures import Recipient
from consent.services.recipient_states import show_states

Status = RecipientNotice.Status
UNKNOWN = "This destination is not configured any more: tell this recipient and mark it as told."
SAID: Mapping[str, tuple[str, str]] = {
    "clear": (Status.COMPLETED, "This destination holds the person no longer."),
    "waiting": (Status.PENDING, "The removal is on its way to this destination."),
    "confirmed": (Status.COMPLETED, "This destination has confirmed the removal."),
    "given_up": (Status.FAILED, "This destination did not take the removal: send it again there, or tell them."),
    "off": (Status.SKIPPED, "This destination is switched off: switch it on to send the removal, or tell them."),
    "gone": (Status.SKIPPED, UNKNOWN),
}


def begin_removals(*, told: Iterable[Recipient], request_id: str, now: datetime) -> list[RecipientNotice]:
    """Return the notices of destinations that received the person, not saved.

    One that was made after the first of these deliveries is another one by the same key: it cannot remove anybody.
    """
    first: dict[tuple[str, str], datetime] = {}
    for one in told:
        pair = (one.recipient, one.destination)
        first[pair] = min(first.get(pair, one.first_at), one.first_at)
    keys = {key for _, key in first}
    since = {key: at for watch in removal_watches for key, at in watch.known_since(keys=keys).items()}
    notices = []
    for (recipient, key), at in first.items():
        is_known = key in since and since[key] <= at
        notices.append(_make((recipient, key), "waiting" if is_known else "gone", request_id=request_id, now=now))
    return notices


def note_removals(*, request_id: str, now: datetime) -> None:
    """Add destinations that were told of the person for the first time while the erasure began, and look at all.

    The caller holds the request's row.
    """
    made = [pair for watch in removal_watches for pair in watch.made_for(request_id=request_id)]
    RecipientNotice.objects.bulk_create(
        [_make(pair, "waiting", request_id=request_id, now=now) for pair in sorted(made)], ignore_conflicts=True
    )
    _write(_find_changes(_open().filter(request_id=request_id)), now=now)


def follow_removals(*, now: datetime) -> int:
    """Bring the notices of erasures that have left nothing here up to date; return how many changed.

    Before that it is not known which destinations hold the person.
    """
    clean = PrivacyRequest.objects.filter(clean_at__isnull=False).values("id")
    changes: dict[str, list[tuple[RecipientNotice, str]]] = {}
    for notice, standing in _find_changes(_open().filter(request_id__in=clean)):
        changes.setdefault(str(notice.request_id), []).append((notice, standing))
    for request_id, some in changes.items():
        with transaction.atomic():
            # The request's row first, as everybody does who writes notices of destinations.
            PrivacyRequest.objects.select_for_update().get(id=request_id)
            _write(some, now=now)
            show_states(request_id, now=now)
    return sum(map(len, changes.values()))


def _make(pair: tuple[str, str], standing: str, *, request_id: str, now: datetime) -> RecipientNotice:
    """Return the notice of a recipient and destination whose removal stands so, not saved."""
    recipient, key = pair
    status, message = SAID[standing]
    return RecipientNotice(
        request_id=request_id,
        recipient=recipient,
        destination=key,
        status=status,
        status_message=message,
        created_at=now,
    )


def _open() -> QuerySet[RecipientNotice]:
    """Return the notices of destinations whose state is not final; an officer's answer is, and a confirmation."""
    return RecipientNotice.objects.exclude(destination="").exclude(status=Status.COMPLETED).filter(answer="")


def _find_changes(open_ones: QuerySet[RecipientNotice]) -> list[tuple[RecipientNotice, str]]:
    """Return the notices that say something else than what is so now, each with how its removal stands."""
    rows = [row for row in open_ones.order_by("id") if row.status_message != UNKNOWN]
    asked = [(str(row.request_id), row.destination) for row in rows]
    if not asked:
        return []
    standings = {pair: word for watch in removal_watches for pair, word in watch.standings(asked=asked).items()}
    found = [(row, standings.get(pair, "gone")) for row, pair in zip(rows, asked, strict=True)]
    return [(row, word) for row, word in found if (row.status, row.status_message) != SAID[word]]


def _write(changes: Iterable[tuple[RecipientNotice, str]], *, now: datetime) -> None:
    for notice, standing in changes:
        status, message = SAID[standing]
        told_at = now if status == Status.COMPLETED else None
        # An officer may have answered meanwhile: then theirs stands.
        _open().filter(pk=notice.pk).update(status=status, status_message=message, told_at=told_at)
