"""The proof of an erasure while it grows: stages and counts that the desk shows live, and the control of the search."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from django.conf import settings

from consent.proof_models import ErasureProof
from consent.services.closure import Closure
from consent.traces import broker, database, files
from consent.traces.needles import ENCODINGS, Needles

# The control shows that the search finds what is there; it need not find all of it.
CONTROL_SECONDS = 10.0


def begin_proof(
    *,
    request_id: str,
    before: Mapping[str, int],
    closure: Closure,
    suppressed: int,
    shared: int,
    now: datetime,
) -> None:
    """Begin the proof, or bring it up to date after an interruption; in the caller's transaction."""
    kinds = Counter(kind for kind, _ in closure.identifiers)
    fields = {
        "subject": {"profiles": len(closure.profile_ids), "identifiers": dict(sorted(kinds.items()))},
        "suppressed": suppressed,
        "shared": shared,
        "stage": "suppressed",
    }
    stores = {name: {"before": count, "erased": 0} for name, count in before.items()}
    row, made = ErasureProof.objects.get_or_create(
        request_id=request_id, defaults={**fields, "stores": stores, "began_at": now}
    )
    if not made:
        ErasureProof.objects.filter(pk=row.pk).update(**fields)


def take_control(*, request_id: str, needles: Needles, keep_alive: Callable[[], None]) -> None:
    """Search once before anything is deleted, and write down where the person was found.

    Once per request: after a crash in the middle of the deletion there may be nothing left to find.
    """
    row = ErasureProof.objects.get(request_id=request_id)
    if row.control is not None:
        return
    found = database.count_in_tables(needles, keep_alive=keep_alive, looked={}, seconds=CONTROL_SECONDS)
    statistics = len(database.columns_in_statistics(needles))
    keys = broker.count_in_broker(url=settings.CDP_BROKER_URL, needles=needles, looked={})
    named = files.find_in_files(root=settings.CDP_DATA_DIR, needles=needles, looked={})
    for place, count in (("planner_statistics", statistics), ("broker", keys), ("files", len(named))):
        if count:
            found[place] = count
    ErasureProof.objects.filter(request_id=request_id).update(control=found)


def has_control(*, request_id: str) -> bool:
    """Tell whether the search found the person before, if there was anything to be found.

    A person whom nobody knew leaves nothing to find: then there is nothing that the search could have missed either.
    """
    row = ErasureProof.objects.get(request_id=request_id)
    return bool(row.control) or not row.subject["profiles"]


def show_stage(*, request_id: str, stage: str, erased_at: datetime | None = None) -> None:
    """Show what is being done."""
    fields: dict[str, object] = {"stage": stage}
    if erased_at is not None:
        fields["erased_at"] = erased_at
    ErasureProof.objects.filter(request_id=request_id).update(**fields)


def show_store(*, request_id: str, store: str, erased: int) -> None:
    """Show how much of a store is erased."""
    row = ErasureProof.objects.get(request_id=request_id)
    before = row.stores.get(store, {}).get("before", 0)
    row.stores[store] = {"before": before, "erased": min(erased, before) if before else erased}
    row.stage = "erasing"
    row.save(update_fields=["stores", "stage"])


def note_search(
    *,
    request_id: str,
    needles: Needles,
    looked: Mapping[str, int],
    found: Mapping[str, int],
    staff: int,
    now: datetime,
) -> None:
    """Write down what the search looked for and at, and what it found."""
    ErasureProof.objects.filter(request_id=request_id).update(
        needles=len(needles.every),
        forms=len(needles.forms),
        encodings=list(ENCODINGS),
        looked=dict(looked),
        found=dict(found),
        staff=staff,
        searched_at=now,
        stage="searched",
    )
