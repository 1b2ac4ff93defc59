"""Erasure at the same moment as something else, on two connections: nobody survives.

RACE_TRIALS=3000 tries so many of all kinds together; without it a few. The search for what is left, and for what others
say of a person, is no part of the race: it is left out here, and the tables are asked instead.
"""

import itertools
import os
import time
import zipfile

import pytest
from django.db import connection
from django.utils import timezone

from cdp.core import registries
from cdp.core.access import PERSONAL_DATA, Principal
from cdp.core.errors import CdpError
from cdp.core.sealed_files import open_sealed
from cdp.core.services.jobs import run_jobs
from consent.models import PrivacyRequest
from consent.request_models import Package
from consent.services import erasure, proving
from consent.services.packages import forget_packages, make_package
from consent.services.purposes import create_purpose
from consent.services.running import run_privacy_requests
from consent.traces import database
from profiles.models import Identifier
from profiles.queries.people import find_by_identifier, name_identifier
from profiles.services.matching_merging import Matched, merge_matched
from profiles.services.steward import merge_profiles
from profiles.services.undoing import undo_merge
from segments.sending_models import Export, ExportPart
from segments.services.definitions import NewSegment, create_segment
from segments.services.following import follow_changes
from segments.services.sending import filing
from segments.services.sending.exports import NewExport, create_export, delete_export
from tests.consent.test_suppression_races import at_once
from tests.erasing import Living, ask_erasure
from tests.profiles.sending import identify, process, put, send, source, track
from tests.segments.asking import definition, trait

pytestmark = pytest.mark.usefixtures("committed")

KINDS = ("ingestion", "merge", "undo", "matching", "copy", "audience", "rebuild")
TRIALS = max(int(os.environ.get("RACE_TRIALS", "0")) // len(KINDS), 2)
MOMENTS = 12
NUMBERS = itertools.count(1)
WORD = "racing-person"
SURVIVORS = """
SELECT (SELECT count(*) FROM profiles_identifier WHERE value LIKE %(word)s)
     + (SELECT count(*) FROM profiles_profile WHERE traits::text LIKE %(word)s)
     + (SELECT count(*) FROM profiles_event WHERE (properties, traits, context)::text LIKE %(word)s)
     + (SELECT count(*) FROM profiles_event e
        WHERE NOT EXISTS (SELECT FROM profiles_profile p WHERE p.id = e.profile_id))
     + (SELECT count(*) FROM segments_membership m
        WHERE NOT EXISTS (SELECT FROM profiles_profile p WHERE p.id = m.profile_id))
"""


@pytest.fixture(autouse=True)
def without_search(monkeypatch):
    monkeypatch.setattr(erasure, "find_and_redact", lambda *_, **__: ({}, 0))
    monkeypatch.setattr(database, "redact_mentions", lambda _: 0)
    monkeypatch.setattr(registries, "mention_redactors", [])
    monkeypatch.setattr(proving, "take_control", lambda **_: None)
    monkeypatch.setattr(proving, "has_control", lambda **_: True)


def newcomer():
    person = Living(f"{WORD}-{next(NUMBERS)}")
    send(identify(person.word, email=person.email), track("Seen", person.word, by=person.email), origin=source())
    return person


def found(person):
    return find_by_identifier(named=name_identifier(type="user_id", value=person.word))


def prepare_ingestion(person):
    put([track("Late", person.word, by=person.email) for _ in range(5)], origin=source())
    return lambda: process(now=timezone.now())


def prepare_merge(person):
    other = newcomer()
    both = [found(person).uuid, found(other).uuid]
    return lambda: merge_profiles(public_ids=both, reason="test", actor="system", now=timezone.now())


def prepare_undo(person):
    merge = prepare_merge(person)()
    return lambda: undo_merge(merge_id=merge.id, actor="system", now=timezone.now())


def prepare_matching(person):
    other = newcomer()
    pair = Matched(found(person).profile_id, found(other).profile_id, 0.999)
    return lambda: merge_matched(pairs=[pair], model="people 1", actor="system", now=timezone.now())


def prepare_audience(_person):
    follow_changes(clock=timezone.now)
    ada = Principal("test", frozenset({"segments:write", PERSONAL_DATA}))
    new = NewExport(segment="all", purpose="post", columns=["email", "id"])
    create_export(new=new, principal=ada, now=timezone.now())
    return run_jobs


def prepare_copy(person):
    now = timezone.now()
    request = PrivacyRequest.objects.create(
        id=f"00000000-0000-4000-8000-{next(NUMBERS):012d}",
        type="access",
        status="running",
        identities=[{"type": "user_id", "value": person.word}],
        received_at=now,
        due_at=now,
    )
    return lambda: make_package(request=request, keep_alive=lambda: None, now=now)


def prepare_rebuild(_person):
    return lambda: follow_changes(clock=timezone.now)


PREPARE = {
    "ingestion": prepare_ingestion,
    "merge": prepare_merge,
    "undo": prepare_undo,
    "matching": prepare_matching,
    "copy": prepare_copy,
    "audience": prepare_audience,
    "rebuild": prepare_rebuild,
}


def erase_now():
    """Carry out what is approved, and return for how many seconds."""
    began = time.monotonic()
    run_privacy_requests(clock=timezone.now)
    return time.monotonic() - began


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_survives(kind):
    if kind in ("audience", "rebuild"):
        create_segment_of_all()
    lasted = 0.0
    for trial in range(TRIALS):
        person = newcomer()
        act = PREPARE[kind](person)
        request = ask_erasure(person)

        # From the first moment of an erasure to its last one, by how long the one before took.
        def late(act=act, pause=lasted * (trial % MOMENTS) / MOMENTS):
            time.sleep(pause)
            try:
                act()
            except CdpError:
                # The person was gone already: that is for the other side to be told.
                return

        _, lasted = at_once(late, erase_now)
        process(now=timezone.now())
        run_privacy_requests(clock=timezone.now)
        request.refresh_from_db()
        assert request.status == "completed", (kind, trial, request.steps)
        with connection.cursor() as cursor:
            cursor.execute(SURVIVORS, {"word": f"%{person.word}x%"})
            assert cursor.fetchone()[0] == 0, (kind, trial)
        assert not Identifier.objects.filter(value=person.word).exists()
        assert found(person) is None
        for package in Package.objects.exclude(stored=""):
            # A copy that was begun after the erasure holds nobody.
            assert person.word not in read_copy(package), (kind, trial)
            forget_packages(request_ids=[package.request_id])
        for export in Export.objects.all():
            rows = read_file(export)
            assert person.word not in rows, (kind, trial)
            delete_export(export=export, actor="test", now=timezone.now())


def read_copy(package):
    """Return everything in a copy of somebody's data, as text."""
    with open_sealed(package.stored) as file, zipfile.ZipFile(file) as archive:
        return " ".join(archive.read(name).decode() for name in archive.namelist())


def read_file(export):
    """Return every row that the export keeps, as text, whether the gate would let it out or not."""
    parts = ExportPart.objects.filter(export=export).values_list("stored", flat=True)
    return repr([row for stored in parts for row in filing.read_rows(stored)])


def create_segment_of_all():
    fields = {"name": "Post", "legal_basis": "legitimate_interests"}
    create_purpose(key="post", fields=fields, actor="system", now=timezone.now())
    new = NewSegment("all", "All", definition(trait("email", "exists")), status="live")
    create_segment(new=new, actor="system", clock=timezone.now)
