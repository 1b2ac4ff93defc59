"""Erasures that wait, end partial, or go on where a worker died."""

import gzip
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services import erasure, fulfilling, leases, running
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from consent.traces import database
from profiles.models import Identifier
from profiles.queries.people import name_identifier
from tests.consent.test_suppression_races import at_once
from tests.consent.zora import EMAIL, USER_ID, erase, live
from tests.erasing import live as live_once
from tests.ingestion.door import post
from tests.profiles.sending import process

pytestmark = pytest.mark.django_db


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


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("type", ["erasure", "access"])
def test_keeps_its_lease_while_one_statement_takes_longer(monkeypatch, type):
    """Or a search that takes longer than the lease begins anew for ever, on one worker after the other."""
    for module in (leases, running, erasure, fulfilling):
        monkeypatch.setattr(module, "LEASE", timedelta(seconds=1))
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.2)
    reached = threading.Event()

    def slowly(act):
        def wrapped(*args, **kwargs):
            reached.set()
            time.sleep(2.5)
            return act(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(database, "redact_mentions", slowly(database.redact_mentions))
    monkeypatch.setattr(fulfilling, "make_package", slowly(fulfilling.make_package))
    person = live_once("slow-search-person")
    identity = name_identifier(type="user_id", value=person.word)
    now = timezone.now()
    request = create_request(new=NewRequest(type, [identity], "gdpr", now, "api", "system"), now=now)
    approve_request(request_id=str(request.id), actor="system", now=now)

    def take_it_over():
        assert reached.wait(20)
        time.sleep(1.5)
        return run_privacy_requests(clock=timezone.now)

    assert at_once(lambda: run_privacy_requests(clock=timezone.now), take_it_over) == [1, 0]
    request.refresh_from_db()
    assert (request.status, request.fence) == ("completed", 1)
