"""The ledger of erasures: a file outside the database and in no backup, so that a restore still knows who was erased.

Each line holds keyed digests of identifiers, never the identifiers, and a keyed digest over itself and the line before:
a changed, exchanged or missing line is noticed. The database keeps the number and digest of each line that it knows of,
written in the transaction of the erasure itself. So, whatever happens:

- The file is ahead of the database (a backup was read in, or the database went back in time otherwise): the lines that
  the database does not know are done again before traffic is let in (`consent.services.replaying`).
- The file is missing or behind the database: nobody can say who was erased. The product does not start.
"""

import fcntl
import hmac
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from cdp.core.digests import derived_key
from cdp.core.errors import CdpError
from consent.suppression_models import LedgerEntry, Suppression
from profiles.queries.people import Named

Kind = LedgerEntry.Kind
NAME = "erasures.log"
TAIL = 1 << 16


class LedgerMissing(CdpError):
    """The database knows of erasures that the ledger does not."""

    code = "erasure_ledger.missing"
    status = 500

    def __init__(self, path: Path, *, known: int, found: int) -> None:
        super().__init__(
            f"REFUSING TO START: the ledger of erasures {path} "
            + (f"ends at line {found}, but the database knows of {known}. " if found >= 0 else "is missing. ")
            + "Without it people who were erased could come back with a backup, unnoticed. Put the file back from "
            "where you keep it. If it is lost for good: `manage.py begin_erasure_ledger --reason TEXT` begins it anew "
            "from the suppressions of the database, and the audit trail says so."
        )


class LedgerDamaged(CdpError):
    """A line of the ledger is not what was written."""

    code = "erasure_ledger.damaged"
    status = 500

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(
            f"REFUSING TO START: line {number} of the ledger of erasures {path} is not what was written there, or was "
            "written under another CDP_SUPPRESSION_KEY. Put the file back from where you keep it."
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One line: who (by type and keyed digest) was erased, suppressed, or let in again, and when."""

    number: int
    kind: str
    at: str
    request: str
    names: tuple[tuple[str, str], ...]
    mac: str

    @property
    def named(self) -> list[tuple[str, bytes]]:
        """The identifiers as type and digest."""
        return [(kind, bytes.fromhex(digest)) for kind, digest in self.names]


def ledger_path() -> Path:
    """Return where the ledger is."""
    folder: Path = settings.CDP_LEDGER_DIR
    return folder / NAME


def read_lines(*, after: int = -1) -> Iterator[Line]:
    """Yield the lines, each checked against the one before.

    Raises
    ------
    LedgerDamaged
        At the first line that is not what was written.
    """
    path = ledger_path()
    if not path.exists():
        return
    previous = ""
    # A line without an end was being written when the power went; nothing that it says was ever committed.
    whole, _, _ = path.read_text(encoding="ascii").rpartition("\n")
    for number, text in enumerate(whole.splitlines()):
        line = _parse(text, number=number, previous=previous)
        if line is None:
            raise LedgerDamaged(path, number)
        previous = line.mac
        if number > after:
            yield line


def note_erased(*, named: Iterable[Named], request_id: str, now: datetime) -> None:
    """Write down that these identifiers are erased, unless this request has done so already.

    In the caller's transaction, which holds the lock `IDENTITY`. The file is written first: a line too many is done
    again in vain, a line too few would bring somebody back.
    """
    digests = {one.digest: one.type for one in named}
    done = LedgerEntry.objects.filter(request_id=request_id).values_list("digests", flat=True)
    known = {bytes(digest) for digests in done for digest in digests}
    if set(digests) - known:
        _append(Kind.ERASED, digests, request_id=request_id, now=now)


def note_suppressed(*, named: Iterable[Named], now: datetime) -> None:
    """Write down that identifiers are kept out without an erasure; as `note_erased` otherwise."""
    _append(Kind.SUPPRESSED, {one.digest: one.type for one in named}, request_id="", now=now)


def note_lifted(*, suppression: Suppression, now: datetime) -> None:
    """Write down that an identifier may come in again; as `note_erased` otherwise."""
    _append(Kind.LIFTED, {bytes(suppression.digest): suppression.identifier_type}, request_id="", now=now)


def begin_ledger(*, now: datetime) -> int:
    """Begin the ledger with the suppressions that the database holds; return how many these are.

    In the caller's transaction, which holds the lock `IDENTITY`.
    """
    LedgerEntry.objects.all().delete()
    ledger_path().unlink(missing_ok=True)
    _append(Kind.BEGUN, {}, request_id=str(uuid.uuid4()), now=now)
    rows = dict(Suppression.objects.values_list("digest", "identifier_type"))
    digests = {bytes(digest): kind for digest, kind in rows.items()}
    if digests:
        _append(Kind.SUPPRESSED, digests, request_id="", now=now)
    return len(digests)


def find_unknown_lines(*, now: datetime) -> list[Line]:
    """Return the lines that the database does not know, oldest first; begins the ledger where there never was one.

    In the caller's transaction, which holds the lock `IDENTITY`, so that no line is half-way between file and database.

    Raises
    ------
    LedgerMissing
        If the file is not there or ends too early.
    LedgerDamaged
        If a line is not what was written.
    """
    known = dict(LedgerEntry.objects.values_list("number", "mac"))
    path = ledger_path()
    if not path.exists():
        if known:
            raise LedgerMissing(path, known=max(known), found=-1)
        begin_ledger(now=now)
        return []
    lines = list(read_lines())
    last = lines[-1].number if lines else -1
    if known and (not lines or max(known) > last):
        raise LedgerMissing(path, known=max(known), found=last)
    for line in lines:
        if line.number in known and bytes(known[line.number]).hex() != line.mac:
            raise LedgerDamaged(path, line.number)
    return [line for line in lines if line.number not in known]


def check_ledger(facts: Mapping[str, Any]) -> None:
    """Raise unless the ledger is there and reaches as far as a backup that is to be read in knew it.

    Raises
    ------
    LedgerMissing
        Before anything is changed.
    """
    known = int(facts.get("erasure_ledger", -1))
    last = -1
    for line in read_lines():
        last = line.number
    if known > last:
        raise LedgerMissing(ledger_path(), known=known, found=last)


def give_facts() -> dict[str, int]:
    """Return the last line that the database knows, for a backup's manifest."""
    return {"erasure_ledger": _last_known()}


def adopt(line: Line) -> None:
    """Let the database know of a line that has been done."""
    LedgerEntry.objects.create(
        number=line.number,
        mac=bytes.fromhex(line.mac),
        kind=line.kind,
        request_id=line.request or None,
        digests=[digest for _, digest in line.named],
        at=datetime.fromisoformat(line.at),
    )


def _last_known() -> int:
    last = LedgerEntry.objects.order_by("-number").values_list("number", flat=True).first()
    return -1 if last is None else last


def _append(kind: str, digests: dict[bytes, str], *, request_id: str, now: datetime) -> None:
    path = ledger_path()
    known = _last_known()
    with _locked(path):
        last = _last_line(path)
        if last is None and kind != Kind.BEGUN:
            if known >= 0:
                raise LedgerMissing(path, known=known, found=-1)
            last = _write(path, kind=Kind.BEGUN, names=(), request=str(uuid.uuid4()), previous=None, now=now)
            adopt(last)
        names = tuple(sorted((kind_, digest.hex()) for digest, kind_ in digests.items()))
        adopt(_write(path, kind=kind, names=names, request=request_id, previous=last, now=now))


def _last_line(path: Path) -> Line | None:
    """Return the last whole line, and cut off one that never got its end; the chain is checked at each start."""
    if not path.exists():
        return None
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        tail, start = b"", size
        while start > 0 and tail.rstrip(b"\n").count(b"\n") < 2:
            start = max(start - TAIL, 0)
            file.seek(start)
            tail = file.read(size - start)
        end = tail.rfind(b"\n")
        file.truncate(start + end + 1)
        if end < 0:
            return None
        text = tail[:end].rpartition(b"\n")[2]
    line = _line(json.loads(text))
    if line is None:
        raise LedgerDamaged(path, -1)
    return line


def _write(
    path: Path, *, kind: str, names: tuple[tuple[str, str], ...], request: str, previous: Line | None, now: datetime
) -> Line:
    number = previous.number + 1 if previous is not None else 0
    body = {
        "n": number,
        "kind": str(kind),
        "at": now.astimezone(UTC).isoformat(),
        "request": request,
        "names": [list(one) for one in names],
    }
    mac = _mac(previous.mac if previous is not None else "", body)
    fresh = not path.exists()
    with path.open("a", encoding="ascii") as file:
        file.write(json.dumps({**body, "mac": mac}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    if fresh:
        path.chmod(0o600)
        _sync_folder(path.parent)
    return Line(number, str(kind), str(body["at"]), request, names, mac)


def _parse(text: str, *, number: int, previous: str) -> Line | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    line = _line(body)
    if line is None or line.number != number:
        return None
    del body["mac"]
    return line if hmac.compare_digest(line.mac, _mac(previous, body)) else None


def _line(body: object) -> Line | None:
    if not isinstance(body, dict):
        return None
    try:
        names = tuple((str(kind), str(digest)) for kind, digest in body["names"])
        return Line(int(body["n"]), str(body["kind"]), str(body["at"]), str(body["request"]), names, str(body["mac"]))
    except (ValueError, KeyError, TypeError):
        return None


def _mac(previous: str, body: dict[str, object]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hmac.digest(derived_key("erasure-ledger"), f"{previous}\n{text}".encode(), "sha256").hex()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file alone; the database's lock does the same, unless somebody runs two databases on one ledger."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
