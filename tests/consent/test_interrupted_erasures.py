"""Erasures that wait, end partial, or go on where a worker died."""

import gzip
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services.running import run_privacy_requests
from profiles.models import Identifier
from tests.consent.zora import EMAIL, USER_ID, erase, live
from tests.ingestion.door import make_source, post
from tests.profiles.sending import process
from tests.world import api

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return make_source()


@pytest.fixture
def officer():
    return api("administrator")


def test_is_partial_while_a_file_still_names_the_person(shop, officer):
    live(shop)
    path = settings.CDP_DATA_DIR / "files" / "export.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"email\n" + EMAIL.upper().encode()))
    try:
        done = erase(officer)
        assert done["status"] == "partial"
        assert [step for step in done["steps"] if step["remaining"]] == [
            {"store": "files", "before": 1, "erased": 0, "withheld": 0, "remaining": 1}
        ]
        assert done["identities"] == [{"type": "email", "value": EMAIL.lower()}]
    finally:
        path.unlink()
    address = f"/api/v1/privacy-requests/{done['id']}"
    officer.post(f"{address}/approve")
    run_privacy_requests(clock=timezone.now)
    assert officer.get(address).json()["status"] == "completed"


def test_waits_for_what_was_accepted_before(shop, officer):
    live(shop)
    post("/v1/batch", {"batch": [{"type": "track", "event": "Late", "userId": USER_ID, "messageId": "z-8"}]}, shop)
    running = erase(officer)
    assert running["status"] == "running"
    process(now=timezone.now())
    run_privacy_requests(clock=timezone.now)
    assert officer.get(f"/api/v1/privacy-requests/{running['id']}").json()["status"] == "completed"
    assert not Identifier.objects.filter(value=USER_ID).exists()


def test_goes_on_where_a_worker_died(shop, officer, monkeypatch):
    live(shop)
    from consent.services import erasure

    class Killed(BaseException):
        """What kill -9 looks like from inside: nothing is caught, nothing is cleaned up."""

    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "find_traces", die)
        with pytest.raises(Killed):
            erase(officer)
    request = PrivacyRequest.objects.get()
    assert request.status == "running"
    # Another worker takes it once the lease is over, not before.
    assert run_privacy_requests(clock=timezone.now) == 0
    later = datetime(2100, 1, 1, tzinfo=UTC)
    assert run_privacy_requests(clock=lambda: later) == 1
    request.refresh_from_db()
    assert (request.status, request.closure) == ("completed", None)
    assert {step["store"]: step["before"] for step in request.steps}["events"] == 3
