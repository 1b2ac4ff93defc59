"""The people, the model and the steps that tests of fuzzy matching share."""

import csv
import io
import random
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from profiles.models import ChangeKind, Identifier, Profile
from profiles.services import matching_work
from profiles.services.matching_work import work_matching
from profiles.services.merging import write_changes
from tests.profiles.sending import source
from tests.profiles.taught import remember, teach_again
from tests.world import NOW, api

FIRST = ["Anna", "Bruno", "Carla", "David", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Klara", "Leon"]
LAST = ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ironwood", "Juniper", "Kapok", "Larch"]
FIELDS = [
    {"trait": "first", "comparison": "name"},
    {"trait": "last", "comparison": "name"},
    {"trait": "born", "comparison": "date"},
    {"trait": "email", "comparison": "email"},
]
MODEL = {"key": "people", "name": "People", "sources": ["crm"], "fields": FIELDS, "mode": "deduplicate"}


def people(number=60, seed=7):
    """Return rows of people of whom every second has a second row with one letter wrong; `person` is the truth."""
    rng = random.Random(seed)
    rows = []
    for person in range(number):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        born = f"{rng.randrange(1950, 2005)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
        row = {"first": first, "last": last, "born": born, "email": f"{first}.{last}{person}@post.example".lower()}
        rows.append({**row, "person": person})
        if person % 2 == 0:
            rows.append({**row, "last": last[:-1] + "x", "email": "" if person % 4 else row["email"], "person": person})
    return rows


def store(rows, key="crm"):
    """Store rows as an import without identifiers does: a profile each, named by its record id."""
    origin = source("import", key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM profiles_identifiertype WHERE key = 'record_id'")
        type_id = cursor.fetchone()[0]
    for number, row in enumerate(rows):
        traits = {name: row[name] for name in ("first", "last", "born", "email") if row[name]}
        profile = Profile.objects.create(
            uuid=f"00000000-0000-4000-8000-{origin.pk:04}{number:08}", created_at=NOW, traits=traits, trait_meta={}
        )
        Identifier.objects.create(
            type_id=type_id,
            lookup=f"{key}{number}".encode().ljust(16)[:16],
            value=f"{key}/{number}",
            profile=profile,
            first_seen_at=NOW,
            source_id=origin.pk,
        )


def work():
    return work_matching(clock=timezone.now)


def answer_all(client, truth, number=60):
    """Answer what is asked, as the truth says."""
    answered = 0
    while answered < number:
        work()
        asked = client.get("/api/v1/identity/models/people/questions?limit=10").json()["results"]
        if not asked:
            break
        answers = [
            {"id": one["id"], "answer": "same" if same(truth, one["left"], one["right"]) else "different"}
            for one in asked
        ]
        answer = client.post("/api/v1/identity/models/people/answers", {"answers": answers}, format="json")
        assert answer.json() == {"taken": len(answers), "not_open": []}
        answered += len(answers)
    return answered


def same(truth, left, right):
    return truth[left["record_id"]] == truth[right["record_id"]]


def lines(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


@pytest.fixture
def client():
    return api("identity:write", "profiles:read", "personal_data:read")


@pytest.fixture
def trained(client):
    """A model that was asked, answered and trained; the truth by record id."""
    rows = people()
    store(rows)
    truth = {f"crm/{number}": row["person"] for number, row in enumerate(rows)}
    made = client.post("/api/v1/identity/models", MODEL, format="json")
    assert made.status_code == 201, made.content
    if not teach_again("people"):
        assert answer_all(client, truth) >= 60
        assert client.post("/api/v1/identity/models/people/train").status_code == 202
        work()
        remember("people")
    return truth


def run(client, **body):
    answer = client.post("/api/v1/identity/models/people/runs", body, format="json")
    assert answer.status_code == 202, answer.content
    work()
    done = client.get(f"/api/v1/identity/models/people/runs/{answer.json()['id']}").json()
    assert done["status"] == "done", done
    return done


def follow(*profiles):
    """Tell the worker that profiles changed some time ago, and let it compare them."""
    with connection.cursor() as cursor:
        changes = [(one.pk, ChangeKind.CREATED, {}) for one in profiles]
        write_changes(cursor, changes, timezone.now() - timedelta(seconds=30))
    return look()


def look():
    """Let the worker look for what came since it last looked, now and not in ten seconds."""
    matching_work._Looked.at = float("-inf")
    return work()
