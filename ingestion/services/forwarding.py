"""What a source forwards: set, changed, tested, measured; copies that were given up put back or deleted."""

import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from cdp.core.addresses import is_listed, read_allowances
from cdp.core.errors import CdpError
from cdp.core.outgoing import Answer, OutgoingFailed, OutgoingRefused, check_url, send
from cdp.core.secrets import seal, unseal
from cdp.core.services import audit
from cdp.core.services.wakeups import wake
from consent.errors import UnknownPurpose
from consent.queries.purposes import get_purpose
from ingestion.errors import InvalidForwarding, NoForwarding
from ingestion.models import ForwardedCopy, Forwarding, Source
from ingestion.queries.sources import get_source
from ingestion.queries.write_keys import forget_write_keys

TASK_NAME = "ingestion.forward_copies"
SEALED_AS = "forwarding key"
EXPIRED = "expired"
MEGABYTE = 1024 * 1024
# What a row takes beside its body.
ROW_BYTES = 200
MAX_WRITE_KEY_CHARACTERS = 255
DEAD_DAYS = 7
TEST_EVENT = "Forwarding Tested"
TEST_ID = "forwarding-test"

MEASURE = f"""
UPDATE ingestion_forwarding f SET is_full = m.is_full
FROM (
    SELECT f.source_id, coalesce((
        SELECT sum(c.size + {ROW_BYTES}) FROM ingestion_forwardedcopy c WHERE c.source_id = f.source_id
        AND c.dead_at IS NULL), 0) + coalesce((
        SELECT sum(c.size + {ROW_BYTES}) FROM ingestion_forwardedcopy c WHERE c.source_id = f.source_id
        AND c.dead_at IS NOT NULL), 0) >= %s AS is_full
    FROM ingestion_forwarding f WHERE f.enabled OR f.is_full
) m
WHERE m.source_id = f.source_id AND m.is_full <> f.is_full
"""


@dataclass(frozen=True, slots=True)
class ForwardingSettings:
    """What can be chosen.

    Attributes
    ----------
    url : str
        Where requests go, up to and with ``/v1``: ``/track``, ``/batch`` and so on are put behind it.
    write_key : str
        Of the other system; ``""``: the one that is known stays.
    purpose : str
        Only messages of people who allow this purpose are sent; ``""`` with `same_controller`.
    same_controller : bool
        The operator states that the other system is this organisation's own, which collected the same until now, so
        that nothing goes to somebody new.
    enabled : bool
        False: nothing is copied and nothing sent; what waits stays.
    """

    url: str
    write_key: str = ""
    purpose: str = ""
    same_controller: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Tested:
    """What the other system said to a test: a status, or why there is none."""

    status: int | None
    error: str
    took_ms: int

    @property
    def works(self) -> bool:
        """Tell whether it took the message."""
        return self.status is not None and 200 <= self.status < 300


def find_forwarding(*, key: str) -> Forwarding | None:
    """Return what a source forwards; None if it never did.

    Raises
    ------
    UnknownSource
        No source has this key.
    """
    return Forwarding.objects.select_related("source").filter(source=get_source(key=key)).first()


def get_forwarding(*, key: str) -> Forwarding:
    """Return what a source forwards.

    Raises
    ------
    UnknownSource, NoForwarding
        There is no such source, or it does not forward.
    """
    found = find_forwarding(key=key)
    if found is None:
        message = f"The source {key} does not forward. Set it up with a URL and a write key."
        raise NoForwarding(message)
    return found


def set_forwarding(*, key: str, wanted: ForwardingSettings, actor: str, now: datetime) -> Forwarding:
    """Set what a source forwards; the same again changes nothing. It takes effect in all processes within 5 seconds.

    Raises
    ------
    UnknownSource
        No source has this key.
    InvalidForwarding
        The URL may not be called, a key or a basis is missing, or the purpose does not exist.
    """
    source = get_source(key=key)
    wanted = replace(wanted, url=wanted.url.strip().rstrip("/"))
    # Outside of the transaction: it looks the name up.
    _check(source, wanted, has_key=Forwarding.objects.filter(source=source).exists())
    with transaction.atomic():
        before = Forwarding.objects.select_for_update().filter(source=source).first()
        row = before or Forwarding(source=source, since=now)
        names = ("url", "purpose", "enabled")
        changed = [name for name in names if before is None or getattr(before, name) != getattr(wanted, name)]
        if wanted.write_key and (before is None or read_key(before) != wanted.write_key):
            row.write_key_sealed = seal(wanted.write_key.encode(), context=SEALED_AS)
            changed.append("write_key")
        if not changed:
            return row
        row.url, row.purpose, row.enabled = wanted.url, wanted.purpose, wanted.enabled
        # What was wrong with the old settings need not be waited for.
        row.failures, row.retry_at = 0, None
        row.save()
        audit.record(
            actor=actor,
            action="forwarding.set",
            object=f"source:{key}",
            detail={
                "changed": changed,
                "url": row.url,
                "enabled": row.enabled,
                "basis": f"purpose:{row.purpose}" if row.purpose else "same controller",
            },
            now=now,
        )
    forget_write_keys()
    wake(TASK_NAME)
    return row


def remove_forwarding(*, key: str, actor: str, now: datetime) -> None:
    """Forward nothing any more, and delete the copies that wait.

    Raises
    ------
    UnknownSource, NoForwarding
        There is nothing to remove.
    """
    found = get_forwarding(key=key)
    with transaction.atomic():
        found.delete()
        count, _ = ForwardedCopy.objects.filter(source_id=found.pk).delete()
        audit.record(
            actor=actor, action="forwarding.removed", object=f"source:{key}", detail={"copies": count}, now=now
        )
    forget_write_keys()


def replay_copies(*, key: str, actor: str, now: datetime) -> int:
    """Put the copies that were given up back into the line; return how many."""
    found = get_forwarding(key=key)
    with transaction.atomic():
        count = ForwardedCopy.objects.filter(source_id=found.pk, dead_at__isnull=False).update(
            dead_at=None, reason="", attempts=0, retry_at=None, queued_at=now
        )
        Forwarding.objects.filter(pk=found.pk).update(failures=0, retry_at=None)
        if count:
            audit.record(
                actor=actor, action="forwarding.replayed", object=f"source:{key}", detail={"copies": count}, now=now
            )
    wake(TASK_NAME)
    return count


def discard_copies(*, key: str, actor: str, now: datetime) -> int:
    """Delete the copies that were given up; return how many."""
    found = get_forwarding(key=key)
    with transaction.atomic():
        count, _ = ForwardedCopy.objects.filter(source_id=found.pk, dead_at__isnull=False).delete()
        if count:
            audit.record(
                actor=actor, action="forwarding.discarded", object=f"source:{key}", detail={"copies": count}, now=now
            )
    return count


def try_forwarding(*, key: str, now: datetime) -> Tested:
    """Send one event of nobody to the other system, now, and return what it says."""
    found = get_forwarding(key=key)
    event = {
        "type": "track",
        "event": TEST_EVENT,
        "anonymousId": TEST_ID,
        "messageId": f"{TEST_ID}-{uuid.uuid4()}",
        "timestamp": now.isoformat(),
        "properties": {"source": key},
    }
    began = time.monotonic()
    status, error = None, ""
    try:
        answer: Answer = send(f"{found.url}/track", headers=headers_for(read_key(found)), body=orjson.dumps(event))
        status = answer.status
    except CdpError as refusal:
        error = refusal.message
    return Tested(status, error, round((time.monotonic() - began) * 1000))


def headers_for(write_key: str) -> dict[str, str]:
    """Return the headers of a request to the other system."""
    basic = b64encode(f"{write_key}:".encode()).decode()
    return {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}


def read_key(forwarding: Forwarding) -> str:
    """Return the other system's write key in the clear."""
    return unseal(bytes(forwarding.write_key_sealed), context=SEALED_AS).decode()


def measure_copies() -> None:
    """Find out for each source whether as many copies wait as may; accepting goes on without copies then."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [settings.CDP_FORWARD_MAX_MB * MEGABYTE])


def count_not_copied(counts: Mapping[int, int]) -> None:
    """Add to how many requests were accepted without a copy."""
    for source_id, count in counts.items():
        Forwarding.objects.filter(pk=source_id).update(uncopied_requests=F("uncopied_requests") + count)


def expire_copies(now: datetime) -> None:
    """Give up what waited too long, and delete what was given up a week ago."""
    oldest = now - timedelta(hours=settings.CDP_FORWARD_HOURS)
    ForwardedCopy.objects.filter(dead_at__isnull=True, queued_at__lt=oldest).update(dead_at=now, reason=EXPIRED)
    ForwardedCopy.objects.filter(dead_at__lt=now - timedelta(days=DEAD_DAYS)).delete()
    measure_copies()


def _check(source: Source, wanted: ForwardingSettings, *, has_key: bool) -> None:
    faults = [*_url_faults(wanted.url), *_basis_faults(wanted)]
    if source.kind == Source.Kind.IMPORT:
        faults.append(("source", "An import receives no requests, so there is nothing to forward."))
    if not wanted.write_key and not has_key:
        faults.append(("write_key", "The other system's write key is missing."))
    if len(wanted.write_key) > MAX_WRITE_KEY_CHARACTERS or not wanted.write_key.isascii() or ":" in wanted.write_key:
        limit = MAX_WRITE_KEY_CHARACTERS
        faults.append(("write_key", f"A write key is at most {limit} ASCII characters without a colon."))
    if faults:
        raise InvalidForwarding(faults)


def _url_faults(url: str) -> list[tuple[str, str]]:
    try:
        target = check_url(url)
    except (OutgoingRefused, OutgoingFailed) as error:
        return [("url", error.message)]
    if "?" in target.path:
        return [("url", "The URL must have no query: paths such as /track are put behind it.")]
    if target.scheme == "http" and not is_listed(target, read_allowances(settings.CDP_OUTGOING_ALLOW)):
        return [("url", "Personal data goes by https only, but to hosts that CDP_OUTGOING_ALLOW names.")]
    return []


def _basis_faults(wanted: ForwardingSettings) -> list[tuple[str, str]]:
    if bool(wanted.purpose) == wanted.same_controller:
        message = (
            "Say on which basis data leaves: name the purpose that people must allow, or state that the other system "
            "is the same controller's (exactly one of the two)."
        )
        return [("purpose", message)]
    if wanted.purpose:
        try:
            get_purpose(key=wanted.purpose)
        except UnknownPurpose as error:
            return [("purpose", error.message)]
    return []
