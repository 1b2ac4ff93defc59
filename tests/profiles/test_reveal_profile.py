"""Masked personal data is shown for some minutes to somebody who says what for, and is masked again by itself."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from cdp.core.models import AuditEntry
from profiles.models import Identifier
from tests.profiles.sending import identify, send
from tests.world import signed_in

pytestmark = pytest.mark.django_db
EMAIL = "dana.ashford@example.org"


@pytest.fixture
def page():
    send(identify("u1", email=EMAIL), identify("u2", email="other.person@example.org"))
    profile = Identifier.objects.get(type__key="user_id", value="u1").profile
    return f"/profiles/{profile.uuid}"


def text(client, path):
    return client.get(path).content.decode()


def test_shows_one_profile_and_its_parts_after_a_reason_and_notes_it(page):
    ana = signed_in("ana")
    assert EMAIL not in text(ana, page)
    assert ana.post(f"{page}/revealed", {"reason": "contact"}).status_code == 302
    for path in (page, f"{page}/timeline", f"{page}/identifiers"):
        assert EMAIL in text(ana, path), path
    other = Identifier.objects.get(type__key="user_id", value="u2").profile
    assert "other.person" not in text(ana, f"/profiles/{other.uuid}")
    entry = AuditEntry.objects.get(action="personal_data.revealed")
    assert entry.object == f"profile:{page.rpartition('/')[2]}"
    assert entry.detail == {"reason": "contact", "minutes": 10}


def test_masks_again_after_ten_minutes_and_makes_the_page_fetch_itself(page):
    ana = signed_in("ana")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        ana.post(f"{page}/revealed", {"reason": "contact"})
        assert ana.get(page).headers["Refresh"] == "601"
        clock.shift(timedelta(minutes=10, seconds=1))
        assert EMAIL not in text(ana, page)
        assert "Refresh" not in ana.get(page).headers


def test_masks_again_when_asked(page):
    ana = signed_in("ana")
    ana.post(f"{page}/revealed", {"reason": "contact"})
    ana.post(f"{page}/masked")
    assert EMAIL not in text(ana, page)


def test_holds_for_this_session_only(page):
    signed_in("ana").post(f"{page}/revealed", {"reason": "contact"})
    assert EMAIL not in text(signed_in("ana"), page)


@pytest.mark.parametrize("reason", ["", "because", "\0"])
def test_needs_one_of_the_reasons(page, reason):
    ana = signed_in("ana")
    assert ana.post(f"{page}/revealed", {"reason": reason}).status_code == 400
    assert EMAIL not in text(ana, page)
    assert not AuditEntry.objects.filter(action="personal_data.revealed").exists()


def test_asks_again_who_one_is(page):
    ana = signed_in("ana", minutes_ago=16)
    answer = ana.post(f"{page}/revealed", {"reason": "contact"})
    assert answer["Location"].startswith("/account/confirm")
    assert EMAIL not in text(ana, page)


def test_can_be_switched_off(page, settings):
    settings.CDP_REVEAL_MINUTES = 0
    ana = signed_in("ana")
    assert "choose a reason" not in text(ana, page)
    assert ana.post(f"{page}/revealed", {"reason": "contact"}).status_code == 403


def test_is_nothing_for_somebody_without_a_role(page):
    assert signed_in("cy").post(f"{page}/revealed", {"reason": "contact"}).status_code == 403
