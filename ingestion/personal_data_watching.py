"""What reconciliations and alerts hold about a person (`cdp.core.registries.PersonalData`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from cdp.core.registries import Subject
from ingestion.alert_models import Alert, AlertMute, AlertNotice, EventHour
from ingestion.reconciliation_models import ReconciledPerson, ReconciledState, Reconciliation

# A shorter identifier ("42") stands in other names by chance.
TELLING_CHARACTERS = 6


def mentions(text: str, subject: Subject) -> bool:
    """Tell whether a text is one of the person's identifiers, or holds a telling one."""
    lowered = text.lower()
    return any(
        lowered == value.lower() or (len(value) >= TELLING_CHARACTERS and value.lower() in lowered)
        for _, value in subject.identifiers
    )


class Reconciled:
    """Rows of results that name the person, and names of traits that mention them."""

    name = "reconciliations"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return in which comparison the person was found, and how."""
        rows = self._rows(subject).select_related("reconciliation__a", "reconciliation__b").order_by("pk")
        return {
            "reconciliations": [
                {
                    "at": row.reconciliation.created_at,
                    "sources": [row.reconciliation.a.key, row.reconciliation.b.key],
                    "field": row.field,
                    "state": ReconciledState(row.state).label,
                }
                for row in rows
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return self._rows(subject).count() + len(self._named(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` rows; take names out of all results."""
        ids = list(self._rows(subject).order_by("pk").values_list("pk", flat=True)[:limit])
        gone = ReconciledPerson.objects.filter(pk__in=ids).delete()[0]
        for found in self._named(subject):
            told = [name for name in found.fields if mentions(name, subject)]
            found.fields = {name: counts for name, counts in found.fields.items() if name not in told}
            found.save(update_fields=["fields"])
            gone += 1 + ReconciledPerson.objects.filter(reconciliation=found, field__in=told).delete()[0]
        return gone

    @staticmethod
    def _rows(subject: Subject) -> QuerySet[ReconciledPerson]:
        return ReconciledPerson.objects.filter(profile_id__in=subject.profile_ids)

    @staticmethod
    def _named(subject: Subject) -> list[Reconciliation]:
        rows = Reconciliation.objects.exclude(fields={}).order_by("pk")
        return [found for found in rows if any(mentions(name, subject) for name in found.fields)]


class WatchedNames:
    """Names of events and fields, and reasons that somebody wrote, in which the person's identifiers stand."""

    name = "alerts"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the names and reasons."""
        texts = {text for row in self._rows(subject) for text in _texts(row) if mentions(text, subject)}
        return {"alerts": sorted(texts)}

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return len(self._rows(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` rows."""
        rows = self._rows(subject)[:limit]
        for model in {row.__class__ for row in rows}:
            model.objects.filter(pk__in=[row.pk for row in rows if row.__class__ is model]).delete()
        return len(rows)

    @staticmethod
    def _rows(subject: Subject) -> list[Any]:
        found: list[Any] = []
        for model, names in WATCHED.items():
            wanted = Q(pk__in=[])
            for _, value in subject.identifiers:
                for name in names:
                    wanted |= Q(**{f"{name}__icontains": value})
            rows = model.objects.filter(wanted).order_by("pk") if subject.identifiers else []
            # A short identifier stands in other names by chance.
            found += [row for row in rows if any(mentions(text, subject) for text in _texts(row))]
        return found


WATCHED: dict[Any, tuple[str, ...]] = {
    EventHour: ("event",),
    Alert: ("event", "field", "reason"),
    AlertMute: ("event", "field", "reason"),
    AlertNotice: ("body",),
}


def _texts(row: Any) -> list[str]:
    if isinstance(row, AlertNotice):
        return list(_strings(row.body))
    return [str(getattr(row, name)) for name in WATCHED[row.__class__]]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value
