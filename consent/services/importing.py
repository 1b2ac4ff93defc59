"""Bringing tables of consents in: a file is sealed, then a job reads it in steps, each of which happens once."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from cdp.core.copying import int_array
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.locks import IDENTITY, take
from cdp.core.models import Job
from cdp.core.sealed_files import SealedWriter, delete_sealed, open_sealed
from cdp.core.services.audit import record
from cdp.core.services.jobs import enqueue
from cdp.core.services.wakeups import wake
from consent import decision as rules
from consent.asking_models import ConsentImport, ConsentImportRow
from consent.models import Notice, Purpose
from consent.queries.purposes import get_purpose
from consent.queries.suppressions import find_suppressed_named
from consent.services.decisions import FOLLOWERS
from consent.services.ledger import Entry, append_decisions
from consent.tables.rows import KLAVIYO, PRESETS, Claim, RowFault, read_claims, simplify
from profiles.errors import BadIdentifier
from profiles.queries.people import Named, Person, name_identifier
from profiles.services.founding import find_or_found

KIND = "consent.import"
ROWS_A_STEP = 2_000
MAX_BYTES = 200 * 1024 * 1024
MAX_FIELD = 64 * 1024
RECORDED, UNCHANGED, CONFLICT, REJECTED = "recorded", "unchanged", "conflict", "rejected"
OUTCOMES = (RECORDED, UNCHANGED, CONFLICT, REJECTED)


@dataclass(frozen=True, slots=True)
class NewImport:
    """A table to be read in.

    `purposes` maps names in the table to our keys; `purpose` is the one for tables that name none (Klaviyo).
    """

    preset: str
    actor: str
    chunks: Iterable[bytes]
    purposes: Mapping[str, str]
    purpose: str = ""


@dataclass(slots=True)
class _Told:
    """One decision of the table on its way, and what becomes of it."""

    row: int
    outcome: str = REJECTED
    reason: str = ""
    claim: Claim | None = None
    named: Named | None = None
    purpose: Purpose | None = None
    decision_id: int | None = None


def start_import(*, new: NewImport, now: datetime) -> ConsentImport:
    """Seal a table and queue its reading.

    Raises
    ------
    InvalidInput
        If the preset is none, or a table of Klaviyo comes without the purpose that it stands for.
    UnknownPurpose
        If a purpose does not exist.
    """
    if new.preset not in PRESETS:
        message = f"The preset is one of {', '.join(PRESETS)}."
        raise InvalidInput(message, errors=[FieldError("preset", "unknown", message)])
    if new.preset == KLAVIYO and not new.purpose:
        message = "Exports of Klaviyo name no purpose. Name the one that they stand for."
        raise InvalidInput(message, errors=[FieldError("purpose", "required", message)])
    for key in {*new.purposes.values(), *filter(None, [new.purpose])}:
        get_purpose(key=key)
    stored = _seal(new.chunks)
    with transaction.atomic():
        made = ConsentImport.objects.create(
            preset=new.preset,
            options={"purposes": dict(new.purposes), "purpose": new.purpose},
            stored=stored,
            actor=new.actor,
            created_at=now,
        )
        detail = {"preset": new.preset}
        record(actor=new.actor, action="consent_import.created", object=f"import:{made.pk}", detail=detail, now=now)
        enqueue(kind=KIND, arguments={"import": made.pk}, now=now)
    return made


def read_step(job: Job) -> bool:
    """Read the next rows of an import, inside the job's transaction; True when it is over."""
    now = timezone.now()
    made = ConsentImport.objects.get(pk=job.arguments["import"])
    if made.status != ConsentImport.Status.QUEUED:
        return True
    try:
        rows = list(islice(_rows(made.stored), made.read_rows, made.read_rows + ROWS_A_STEP))
    except (UnicodeDecodeError, csv.Error):
        return _finish(made, now=now, fault="This is no CSV file in UTF-8.")
    if not rows and made.read_rows == 0:
        return _finish(made, now=now, fault="The file has no rows.")
    if rows:
        _record(made, rows, now=now)
    return _finish(made, now=now) if len(rows) < ROWS_A_STEP else False


def _seal(chunks: Iterable[bytes]) -> str:
    writer = SealedWriter()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            writer.discard()
            message = f"The file is larger than {MAX_BYTES // (1024 * 1024)} MB. Divide it."
            raise InvalidInput(message, errors=[FieldError("file", "too_large", message)])
        writer.write(chunk)
    return writer.close()


def _rows(stored: str) -> Iterator[dict[str, str]]:
    with io.TextIOWrapper(open_sealed(stored), encoding="utf-8-sig", newline="") as text:
        first = text.readline()
        text.seek(0)
        csv.field_size_limit(MAX_FIELD)
        delimiter = max(",;\t", key=first.count)
        for row in csv.DictReader(text, delimiter=delimiter):
            # A row with more cells than columns has them under None.
            yield {simplify(name): value or "" for name, value in row.items() if isinstance(name, str)}


def _finish(made: ConsentImport, *, now: datetime, fault: str = "") -> bool:
    made.status = ConsentImport.Status.FAILED if fault else ConsentImport.Status.DONE
    made.fault = fault
    made.finished_at = now
    stored, made.stored = made.stored, ""
    made.save()
    record(
        actor=made.actor,
        action="consent_import.finished",
        object=f"import:{made.pk}",
        detail={name: getattr(made, name) for name in ("recorded", "unchanged", "conflicts", "rejected")},
        now=now,
    )
    transaction.on_commit(lambda: delete_sealed(stored))
    return True


def _record(made: ConsentImport, rows: Sequence[Mapping[str, str]], *, now: datetime) -> None:
    purposes = _Purposes(made.options)
    told: list[_Told] = []
    for number, row in enumerate(rows, made.read_rows + 1):
        # Row 1 is the heading, as in a spreadsheet.
        told.extend(_read(row, number + 1, made.preset, purposes))
    with connection.cursor() as cursor:
        take(cursor, IDENTITY)
        people = _find_people(cursor, told, now=now)
        _write(told, people, made, now=now)
    ConsentImportRow.objects.bulk_create(
        [
            ConsentImportRow(
                made_by=made, row=one.row, outcome=one.outcome, reason=one.reason, decision_id=one.decision_id
            )
            for one in told
        ]
    )
    counts = Counter(one.outcome for one in told)
    made.read_rows += len(rows)
    made.recorded += counts[RECORDED]
    made.unchanged += counts[UNCHANGED]
    made.conflicts += counts[CONFLICT]
    made.rejected += counts[REJECTED]
    made.save()


class _Purposes:
    """Our purposes by what a table calls them: a mapping of the import, else the key or the name."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        own = list(Purpose.objects.order_by("id"))
        self._keys = {purpose.key: purpose for purpose in own}
        self._names = {purpose.name.lower(): purpose for purpose in own}
        self._mapping: Mapping[str, str] = options["purposes"]
        self._only: str = options["purpose"]

    def find(self, name: str) -> Purpose | None:
        key = self._only if not name else self._mapping.get(name, name)
        return self._keys.get(key) or self._names.get(key.lower())


def _read(row: Mapping[str, str], number: int, preset: str, purposes: _Purposes) -> list[_Told]:
    try:
        claims = read_claims(row, preset=preset)
    except RowFault as fault:
        return [_Told(number, reason=str(fault))]
    if not claims:
        return [_Told(number, UNCHANGED, "nothing_said")]
    found = []
    for claim in claims:
        one = _Told(number, claim=claim)
        one.purpose = purposes.find(claim.purpose)
        one.named = _name(claim)
        if one.purpose is None:
            one.reason = "purpose_unknown"
        elif claim.channel and one.purpose.channels and claim.channel not in one.purpose.channels:
            one.reason = "channel_unknown"
        elif one.named is None:
            one.reason = "identifier_unreadable"
        elif claim.expires_at is not None and claim.occurred_at is not None and claim.expires_at <= claim.occurred_at:
            one.reason = "ends_before_it_begins"
        found.append(one)
    return found


def _name(claim: Claim) -> Named | None:
    try:
        return name_identifier(type=claim.identifier_type, value=claim.identifier)
    except BadIdentifier:
        return None


def _find_people(cursor: Any, told: Sequence[_Told], *, now: datetime) -> dict[bytes, Person]:
    """Return whom the good rows name, their rows locked; of suppressed people nothing is kept."""
    good = [one for one in told if not one.reason and one.named is not None]
    suppressed = find_suppressed_named([one.named for one in good if one.named is not None])
    for one in good:
        if one.named is not None and one.named.digest in suppressed:
            # What a refusal asks for is the case already.
            refuses = one.claim is not None and one.claim.state in rules.REFUSALS
            one.outcome, one.reason = (UNCHANGED if refuses else REJECTED), "suppressed"
    named = [one.named for one in good if not one.reason and one.named is not None]
    people = find_or_found(cursor, named=named, now=now) if named else {}
    ids = int_array(sorted({person.profile_id for person in people.values()}))
    cursor.execute("SELECT 1 FROM profiles_profile WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE", [ids])
    return people


def _write(told: Sequence[_Told], people: Mapping[bytes, Person], made: ConsentImport, *, now: datetime) -> None:
    notices = _find_notices(told)
    entries: dict[int, _Told] = {}
    ordered: list[Entry] = []
    for one in told:
        if one.reason or one.claim is None or one.named is None or one.purpose is None:
            continue
        person = people.get(one.named.lookup)
        if person is None:
            one.reason = "nobody_has_it"
            continue
        entry = _entry(one.claim, one.purpose, person, made, notices, now=now)
        one.outcome = UNCHANGED
        entries[id(entry)] = one
        ordered.append(entry)
    for entry, decision in append_decisions(ordered, now=now, wanted=_is_new):
        one = entries[id(entry)]
        one.decision_id = decision.id
        one.outcome = CONFLICT if decision.conflict else RECORDED
    if ordered:
        wake(FOLLOWERS)


def _entry(
    claim: Claim,
    purpose: Purpose,
    person: Person,
    made: ConsentImport,
    notices: Mapping[tuple[str, int | None], int],
    *,
    now: datetime,
) -> Entry:
    evidence = {"method": "import", "import": made.pk, "preset": made.preset, **claim.evidence}
    if claim.notice:
        evidence["notice"] = claim.notice
    return Entry(
        profile_id=person.profile_id,
        identifier_id=person.identifier_id,
        purpose_id=purpose.pk,
        draft=rules.Draft(
            subject=person.uuid,
            purpose=purpose.key,
            channel=claim.channel or None,
            state=claim.state,
            occurred_at=claim.occurred_at or now,
            recorded_at=now,
            expires_at=claim.expires_at,
            actor="import",
        ),
        source=f"import:{made.pk}",
        notice_id=notices.get((claim.notice, claim.notice_version)),
        evidence=evidence,
    )


def _find_notices(told: Sequence[_Told]) -> dict[tuple[str, int | None], int]:
    """Return the ids of notices named as KEY or KEY/LANGUAGE with a version; without one, the evidence names it."""
    claims = [one.claim for one in told if one.claim is not None and one.claim.notice]
    if not claims:
        return {}
    rows = Notice.objects.filter(key__in={claim.notice.partition("/")[0] for claim in claims}).order_by("id")
    found: dict[tuple[str, int | None], int] = {}
    for row in rows.only("id", "key", "language", "version"):
        found[row.key, row.version] = found[f"{row.key}/{row.language}", row.version] = row.pk
    return found


def _is_new(entry: Entry, history: Sequence[rules.Decision]) -> bool:
    """Leave out what an earlier import brought: the same cell, state and time; without a time, what stands so."""
    draft = entry.draft
    same = [one for one in history if one.channel == draft.channel and not one.elsewhere]
    if draft.occurred_at == draft.recorded_at:
        standing = rules.stand(history, purpose=draft.purpose, channel=draft.channel)
        state = standing.state_at(draft.recorded_at)
        return state != draft.state and not (state in rules.REFUSALS and draft.state in rules.REFUSALS)
    alike = rules.REFUSALS if draft.state in rules.REFUSALS else {draft.state}
    return not any(one.occurred_at == draft.occurred_at and one.state in alike for one in same)
