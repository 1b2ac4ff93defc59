"""The sealer: numbers, chains and signs the audit trail, and checks it.

Entries are inserted unchained, so that acts never wait for each other. One sealer at a time (advisory lock) numbers
them without gaps and chains them: each hash covers the one before. Heads of the chain are signed and written to the
database and to files under the data directory, so that neither a changed entry nor a cut-off tail goes unnoticed.
Tampering with entries in the second before they are sealed is out of scope.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.digests import derived_key
from cdp.core.errors import CdpError
from cdp.core.locks import SEALER, hold
from cdp.core.models import AuditEntry, AuditHead
from cdp.core.services import heads

log = logging.getLogger("cdp.audit")

BATCH = 5000
READ_BATCH = 2000
HEAD_EVERY = timedelta(hours=1)
START = b"\0" * 32
LENGTH_BYTES = 8


class AuditBroken(CdpError):
    """The audit trail is not what was sealed."""

    code = "audit.broken"
    status = 500
    title = "The audit trail has been changed"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of the whole trail found in order."""

    entries: int
    heads: int
    last_hash: str
    restores: int = 0


def hash_entry(*, previous: bytes, seq: int, entry: AuditEntry) -> bytes:
    """Return SHA-256 over the previous hash and every field, each with its length before it.

    The lengths keep two different entries from being the same bytes. `detail` is canonical JSON: sorted keys, no
    spaces, as PostgreSQL gives it back.
    """
    detail = json.dumps(entry.detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    digest = hashlib.sha256(previous)
    for part in (str(seq), str(entry.pk), at, entry.actor, entry.action, entry.object, detail):
        raw = part.encode()
        digest.update(len(raw).to_bytes(LENGTH_BYTES, "big") + raw)
    return digest.digest()


def seal_audit(*, wait: bool = False) -> int:
    """Seal what is not sealed yet and return how many entries that was.

    Parameters
    ----------
    wait : bool
        Whether to wait for another sealer; without it, 0 is returned while one is at work.
    """
    with connection.cursor() as cursor, hold(cursor, SEALER, wait=wait) as held:
        if not held:
            return 0
        sealed = 0
        while (batch := _seal_batch()) > 0:
            sealed += batch
            if batch < BATCH:
                break
        return sealed


def end_of_chain() -> tuple[int, bytes]:
    """Return number and hash of the last sealed entry; 0 and the start where there is none."""
    last = AuditEntry.objects.filter(seq__isnull=False).order_by("-seq").only("seq", "hash").first()
    return (last.seq or 0, bytes(last.hash or b"")) if last else (0, START)


def _seal_batch() -> int:
    """Seal up to 5 000 entries; then, still as the only sealer, write the head to its file."""
    with transaction.atomic(), connection.cursor() as cursor:
        entries = list(AuditEntry.objects.filter(seq__isnull=True).order_by("id")[:BATCH])
        before = end_of_chain()
        seq, previous = before
        rows = []
        for entry in entries:
            seq += 1
            previous = hash_entry(previous=previous, seq=seq, entry=entry)
            rows.append((entry.pk, seq, previous))
        if rows:
            cursor.execute(
                "UPDATE core_auditentry SET seq = sealed.seq, hash = sealed.hash"
                " FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS sealed (id, seq, hash)"
                " WHERE core_auditentry.id = sealed.id",
                [[row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]],
            )
        head = sign_head(seq=seq, hash_=previous, now=timezone.now()) if seq else None
        hourly = head is not None and _keep_hourly(head)
    if head is not None and (rows or hourly):
        heads.write_head(head, before=before, keep=hourly)
    return len(rows)


def _keep_hourly(head: heads.Head) -> bool:
    """Write the head to the database if the last one there is an hour old; tell whether that was so."""
    at = datetime.fromisoformat(head.created_at)
    last = AuditHead.objects.order_by("-id").only("seq", "created_at").first()
    if last is not None and (last.seq >= head.seq or last.created_at > at - HEAD_EVERY):
        return False
    AuditHead.objects.create(
        seq=head.seq, hash=bytes.fromhex(head.hash), signature=bytes.fromhex(head.signature), created_at=at
    )
    return True


def sign_head(*, seq: int, hash_: bytes, now: datetime) -> heads.Head:
    """Return a head of the chain with its signature (Ed25519, under a key that is outside the database)."""
    key = signing_key()
    created_at = now.astimezone(UTC).isoformat(timespec="microseconds")
    signature = key.sign(heads.signed_bytes(seq=seq, hash_=hash_.hex(), created_at=created_at))
    return heads.Head(
        seq=seq,
        hash=hash_.hex(),
        created_at=created_at,
        signature=signature.hex(),
        public_key=key.public_key().public_bytes_raw().hex(),
    )


def note_restore(
    *, before: tuple[int, bytes], after: tuple[int, bytes], backup_made_at: str, now: datetime
) -> heads.Restore:
    """Write a signed note that a backup took the place of the trail, so that the check can tell it from a cut."""
    unsigned = heads.Restore(
        restored_at=now.astimezone(UTC).isoformat(timespec="microseconds"),
        from_seq=before[0],
        from_hash=before[1].hex(),
        to_seq=after[0],
        to_hash=after[1].hex(),
        backup_made_at=backup_made_at,
        signature="",
    )
    note = replace(unsigned, signature=signing_key().sign(unsigned.signed).hex())
    heads.write_restore(note)
    return note


def signing_key() -> Ed25519PrivateKey:
    """Return the installation's key for heads."""
    return Ed25519PrivateKey.from_private_bytes(derived_key("audit-head"))


def verify_audit() -> Verified:
    """Seal what waits, then check every entry and every head.

    Raises
    ------
    AuditBroken
        Naming the first entry or head that is not what was sealed.
    """
    seal_audit(wait=True)
    restores = _known_restores()
    known = [head for head in _known_heads() if not any(one.explains(head) for one in restores)]
    wanted: dict[int, list[heads.Head]] = {}
    for head in known:
        wanted.setdefault(head.seq, []).append(head)
    previous, count = START, 0
    entries = AuditEntry.objects.filter(seq__isnull=False).order_by("seq")
    for entry in entries.iterator(chunk_size=READ_BATCH):
        count += 1
        if entry.seq != count:
            message = f"Entry {count} is missing: the next one is {entry.seq}."
            raise AuditBroken(message)
        expected = hash_entry(previous=previous, seq=count, entry=entry)
        if entry.hash is None or bytes(entry.hash) != expected:
            message = f"Entry {count} (id {entry.pk}) is not what was sealed, or the one before it was replaced."
            raise AuditBroken(message)
        for head in wanted.pop(count, []):
            if head.hash != expected.hex():
                message = f"Entry {count} (id {entry.pk}) differs from the signed head of {head.created_at}."
                raise AuditBroken(message)
        previous = expected
    if wanted:
        cut = max(wanted)
        message = (
            f"The trail ends at entry {count}, but a signed head says that there were {cut}: the tail was cut off."
        )
        raise AuditBroken(message)
    return Verified(entries=count, heads=len(known), last_hash=previous.hex(), restores=len(restores))


def _known_heads() -> Iterator[heads.Head]:
    """Yield the heads of the database and of the files, each with its signature checked."""
    public = signing_key().public_key()
    for row in AuditHead.objects.order_by("id"):
        created_at = row.created_at.astimezone(UTC).isoformat(timespec="microseconds")
        head = heads.Head(
            seq=row.seq,
            hash=bytes(row.hash).hex(),
            created_at=created_at,
            signature=bytes(row.signature).hex(),
            public_key="",
        )
        yield _checked(head, public, where="the database")
    for head in heads.read_heads():
        yield _checked(head, public, where="the data directory")


def _known_restores() -> list[heads.Restore]:
    """Return the notes on restores, each with its signature checked."""
    public = signing_key().public_key()
    found = heads.read_restores()
    for restore in found:
        try:
            public.verify(bytes.fromhex(restore.signature), restore.signed)
        except (InvalidSignature, ValueError) as error:
            message = f"The note on the restore of {restore.restored_at} has a wrong signature."
            raise AuditBroken(message) from error
    return found


def _checked(head: heads.Head, public: Ed25519PublicKey, *, where: str) -> heads.Head:
    signed = heads.signed_bytes(seq=head.seq, hash_=head.hash, created_at=head.created_at)
    try:
        public.verify(bytes.fromhex(head.signature), signed)
    except (InvalidSignature, ValueError) as error:
        message = f"The head of entry {head.seq} in {where} has a wrong signature."
        raise AuditBroken(message) from error
    return head
