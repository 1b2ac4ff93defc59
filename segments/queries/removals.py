"""How the removals stand that erasures left at destinations (`cdp.core.registries.RemovalWatch`)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from segments.sending_models import Delivery, Destination, Removal

# Of several removals at one destination the one counts that needs somebody most.
WORST_FIRST = ("gone", "given_up", "off", "waiting", "confirmed")


class DestinationRemovals:
    """Removals at the destinations that are configured here."""

    def known_since(self, *, keys: Iterable[str]) -> Mapping[str, datetime]:
        """Return since when there are destinations of these keys."""
        return dict(Destination.objects.filter(key__in=list(keys)).values_list("key", "created_at"))

    def made_for(self, *, request_id: str) -> Iterable[tuple[str, str]]:
        """Return recipient and destination of every removal that an erasure left."""
        return set(Removal.objects.filter(request_id=request_id).values_list("recipient", "destination_key"))

    def standings(self, *, asked: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Return how the removals of pairs of erasure and destination stand, in three statements."""
        keys = {key for _, key in asked}
        removals = list(Removal.objects.filter(request_id__in={one for one, _ in asked}, destination_key__in=keys))
        deliveries = {
            pk: (state, enabled)
            for pk, state, enabled in Delivery.objects.filter(pk__in=[one.delivery_id for one in removals]).values_list(
                "pk", "state", "destination__enabled"
            )
        }
        existing = set(Destination.objects.filter(key__in=keys).values_list("key", flat=True))
        found: dict[tuple[str, str], set[str]] = {}
        for one in removals:
            standing = _standing(one, deliveries.get(one.delivery_id), is_there=one.destination_key in existing)
            found.setdefault((str(one.request_id), one.destination_key), set()).add(standing)
        untold = {pair: {"clear" if pair[1] in existing else "gone"} for pair in asked}
        return {
            pair: next((word for word in WORST_FIRST if word in words), "clear")
            for pair, words in (untold | found).items()
        }


def _standing(removal: Removal, delivery: tuple[str, bool] | None, *, is_there: bool) -> str:
    if removal.confirmed_at is not None:
        return "confirmed"
    if delivery is None:
        return "given_up" if is_there else "gone"
    state, enabled = delivery
    if state == Delivery.State.DEAD:
        return "given_up"
    return "waiting" if enabled else "off"
