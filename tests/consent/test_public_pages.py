"""Pages for the people themselves: preferences, unsubscribing, forms and their confirmation."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from cdp.core.digests import identifier_digest
from cdp.core.models import OutboxMail
from consent.asking_models import Link, ShownText
from consent.models import Decision
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_notice, create_purpose
from consent.suppression_models import Suppression
from profiles.models import Identifier, Profile
from tests.world import api

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
EMAIL = "dana@example.org"


@pytest.fixture
def purposes(db):
    news = {"name": "Newsletter", "channels": ["email", "sms"], "description": "Offers, once a week."}
    create_purpose(key="news", fields=news, actor="system", now=NOW)
    fit = {"name": "Better offers", "legal_basis": "legitimate_interests"}
    create_purpose(key="fit", fields=fit, actor="system", now=NOW)
    create_purpose(key="orders", fields={"name": "Orders", "legal_basis": "contract"}, actor="system", now=NOW)


@pytest.fixture
def dana(make_profile):
    return make_profile(email=EMAIL)


def decide(person: Profile, purpose: str, state: str, channel: str | None = None) -> None:
    new = NewDecision(
        purpose=purpose, channel=channel, state=state, recorded_by="system", profile_uuid=str(person.uuid)
    )
    record_decision(new=new, now=datetime.now(UTC))


def state_of(person: Profile, purpose: str, channel: str | None = None) -> str:
    query = {"profile": str(person.uuid), "purpose": purpose, **({"channel": channel} if channel else {})}
    return api("compliance_officer").get("/api/v1/consents/check", query).json()["state"]


def link(person: Profile, kind: str = "preferences", **more) -> dict:
    body = {"profile_id": str(person.uuid), "kind": kind, **more}
    answer = api("compliance_officer").post("/api/v1/preference-links", body, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def shown_cells(html: str) -> list[str]:
    return re.findall(r'name="shown"\s+value="([^"]+)"', html)


# --- Preferences -----------------------------------------------------------------------------------------------------


def test_shows_what_a_person_can_choose_and_nothing_about_them(purposes, dana):
    decide(dana, "news", "granted", "email")
    answer = Client().get(path_of(link(dana)["url"]))
    html = answer.content.decode()
    assert answer.status_code == 200
    assert shown_cells(html) == ["fit:", "news:email", "news:sms"]
    assert re.findall(r'value="([^"]+)"\s+checked', html) == ["fit:", "news:email"]
    assert EMAIL not in html
    assert str(dana.uuid) not in html
    assert "Orders" not in html


def test_a_get_changes_nothing(purposes, dana):
    url = path_of(link(dana)["url"])
    before = list(Decision.objects.values())
    for method in ("get", "head"):
        getattr(Client(), method)(f"{url}?withdraw=1&allow=news:email&shown=news:email")
    assert list(Decision.objects.values()) == before
    assert not ShownText.objects.exists()


def test_records_only_what_differs_with_its_evidence(purposes, dana):
    decide(dana, "news", "granted", "email")
    url = path_of(link(dana, language="de")["url"])
    cells = ["fit:", "news:email", "news:sms"]
    answer = Client(HTTP_USER_AGENT="Mozilla/5.0 (X11; Linux) Gecko/20100101 Firefox/128.0").post(
        url, {"shown": cells, "allow": ["news:sms"]}, REMOTE_ADDR="192.0.2.77"
    )
    assert "Ihre Entscheidungen sind gespeichert" in answer.content.decode()
    assert [state_of(dana, "news", "email"), state_of(dana, "news", "sms"), state_of(dana, "fit")] == [
        "withdrawn",
        "granted",
        "objected",
    ]
    rows = list(Decision.objects.order_by("id"))[1:]
    assert len(rows) == 3
    evidence = rows[0].evidence
    assert (evidence["method"], evidence["language"]) == ("preference_centre", "de")
    assert (evidence["user_agent"], evidence["ip"]) == ("Firefox", "192.0.2.0")
    assert "Newsletter (SMS): Offers, once a week." in ShownText.objects.get(pk=evidence["text_sha256"]).text
    # The same again changes nothing.
    Client().post(url, {"shown": cells, "allow": ["news:sms"]})
    assert Decision.objects.count() == 4


def test_withdraws_everything_at_once(purposes, dana):
    decide(dana, "news", "granted")
    url = path_of(link(dana)["url"])
    cells = shown_cells(Client().get(url).content.decode())
    Client().post(url, {"shown": cells, "allow": cells, "withdraw": "1"})
    assert [state_of(dana, "news", "email"), state_of(dana, "fit")] == ["withdrawn", "objected"]


def test_says_nothing_of_what_the_page_did_not_show(purposes, dana):
    decide(dana, "news", "granted", "email")
    Client().post(path_of(link(dana)["url"]), {"shown": ["fit:"], "allow": ["fit:", "orders:"]})
    assert state_of(dana, "news", "email") == "granted"
    assert Decision.objects.count() == 1


@pytest.mark.parametrize("what", ["unknown", "revoked", "expired", "erased", "other kind"])
def test_shows_the_same_page_for_every_link_that_does_not_work(purposes, dana, what):
    made = link(dana)
    url = path_of(made["url"])
    if what == "unknown":
        url = "/preferences/none"
    elif what == "revoked":
        assert api("compliance_officer").delete(f"/api/v1/preference-links/{made['id']}").status_code == 200
    elif what == "expired":
        Link.objects.update(expires_at=NOW - timedelta(days=1))
    elif what == "erased":
        Identifier.objects.all().delete()
    else:
        url = url.replace("preferences", "unsubscribe")
    for answer in (Client().get(url), Client().post(url, {"shown": ["news:email"], "allow": ["news:email"]})):
        assert answer.status_code == 404
        html = re.sub(r'href="[^"]*"', "", answer.content.decode())
        assert html == re.sub(r'href="[^"]*"', "", Client().get("/preferences/x").content.decode())
    assert not Decision.objects.exists()


def test_keeps_the_address_to_itself_and_sets_no_cookie(purposes, dana):
    answer = Client().get(path_of(link(dana)["url"]))
    assert (answer["Referrer-Policy"], answer["Cache-Control"]) == ("no-referrer", "no-store")
    assert "noindex" in answer["X-Robots-Tag"]
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert not answer.cookies
    assert "<script" not in answer.content.decode()


def test_keeps_only_a_digest_of_the_token(purposes, dana):
    made = link(dana)
    token = made["url"].rsplit("/", 1)[1]
    assert len(token) >= 43
    assert token not in str(list(Link.objects.values()))
    listed = api("compliance_officer").get(f"/api/v1/preference-links?profile={dana.uuid}").json()["results"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert "url" not in listed[0]


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "Your choices"), ("de", "Ihre Entscheidungen"), ("fr", "Vos choix"), ("es", "Sus decisiones")],
)
def test_speaks_the_language_of_the_reader(purposes, dana, language, title):
    url = path_of(link(dana)["url"])
    for answer in (
        Client().get(url, HTTP_ACCEPT_LANGUAGE=f"nl, {language};q=0.9, pl;q=0.5"),
        Client().get(f"{url}?language={language}", HTTP_ACCEPT_LANGUAGE="it"),
    ):
        html = answer.content.decode()
        assert f'<html lang="{language}">' in html
        assert f"<h1>{title}</h1>" in html


# --- Unsubscribing ---------------------------------------------------------------------------------------------------


def test_unsubscribes_by_one_click_and_says_how_in_the_headers(purposes, dana):
    decide(dana, "news", "granted", "email")
    made = link(dana, "unsubscribe", asks=[{"purpose": "news", "channel": "email"}])
    assert made["headers"] == {
        "List-Unsubscribe": f"<{made['url']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    url = path_of(made["url"])
    Client().get(url)
    assert state_of(dana, "news", "email") == "granted"
    for _ in range(2):
        answer = Client(enforce_csrf_checks=True).post(url, {"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
    assert state_of(dana, "news", "email") == "withdrawn"
    # Twice sent, once recorded.
    assert [row.evidence["method"] for row in Decision.objects.order_by("id")[1:]] == ["one_click"]


def test_unsubscribes_by_the_page(purposes, dana):
    url = path_of(link(dana, "unsubscribe", asks=[{"purpose": "fit"}])["url"])
    assert "Better offers" in Client().get(url).content.decode()
    assert "You are unsubscribed" in Client().post(url).content.decode()
    assert state_of(dana, "fit") == "objected"


def test_refuses_a_link_to_unsubscribe_from_nothing_or_from_what_is_not_there(purposes, dana):
    officer = api("compliance_officer")
    for asks, status in (([], 400), ([{"purpose": "none"}], 404), ([{"purpose": "news", "channel": "fax"}], 400)):
        body = {"profile_id": str(dana.uuid), "kind": "unsubscribe", "asks": asks}
        assert officer.post("/api/v1/preference-links", body, format="json").status_code == status


# --- Forms -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def form(purposes):
    for language, text in (("en", "We write to you."), ("de", "Wir schreiben Ihnen.")):
        create_notice(key="signup", language=language, text=text, actor="system", now=NOW)
    body = {
        "key": "signup",
        "name": "Sign up",
        "asks": [{"purpose": "news", "channel": "email"}, {"purpose": "fit"}],
        "notice_key": "signup",
        "languages": ["en", "de", "fr", "es"],
        "texts": {"de": {"title": "Anmelden", "intro": "Schön."}},
    }
    answer = api("compliance_officer").post("/api/v1/consent-forms", body, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def fill_in(email: str = EMAIL, *, cells=("news:email",), language: str = "en", client: Client | None = None, **more):
    client = client or Client()
    page = client.get(f"/forms/signup?language={language}").content.decode()
    text_hash = re.search(r'name="text_hash"\s+value="(\w+)"', page)
    assert text_hash is not None
    body = {"identifier": email, "allow": list(cells), "text_hash": text_hash[1], **more}
    return client.post(f"/forms/signup?language={language}", body, REMOTE_ADDR="198.51.100.9")


def confirmation() -> str:
    mail = OutboxMail.objects.order_by("-id").first()
    assert mail is not None
    found = re.search(r"http\S+(/confirm/\S+)", mail.body)
    assert found is not None
    return found[1]


def test_a_form_leaves_pending_what_its_mail_confirms(form):
    answer = fill_in(language="de")
    assert "eine Nachricht unterwegs" in re.sub(r"\s+", " ", answer.content.decode())
    person = Profile.objects.get()
    assert state_of(person, "news", "email") == "pending"
    mail = OutboxMail.objects.get()
    assert (mail.to, mail.subject) == (EMAIL, "Bitte bestätigen")
    assert "- Newsletter (E-Mail): Offers, once a week." in mail.body

    url = confirmation()
    assert EMAIL not in url
    for _ in range(2):
        assert Client().get(url).status_code == 200
    assert state_of(person, "news", "email") == "pending"
    assert Client().post(url).status_code == 200
    assert state_of(person, "news", "email") == "granted"
    row = Decision.objects.get(state="granted")
    assert (row.actor, row.source, row.evidence["method"]) == ("subject", "form:signup", "double_opt_in")
    assert (row.notice.language, row.evidence["form"], row.evidence["ip"]) == ("de", "signup", "198.51.100.0")
    assert "Wir schreiben Ihnen." in ShownText.objects.get(pk=row.evidence["text_sha256"]).text
    # It works once.
    assert Client().post(url).status_code == 404
    assert Decision.objects.count() == 2


def test_pending_takes_nothing_away(form, dana):
    decide(dana, "news", "granted", "email")
    decide(dana, "fit", "objected")
    fill_in(cells=("news:email", "fit:"))
    assert (state_of(dana, "news", "email"), state_of(dana, "fit")) == ("granted", "objected")


def test_answers_the_same_whoever_is_named(form, dana):
    Suppression.objects.create(
        digest=identifier_digest("email", "erased@example.org"), identifier_type="email", reason="x", created_at=NOW
    )
    decide(dana, "news", "withdrawn", "email")
    bodies = {fill_in(email).content for email in (EMAIL, "new@example.org", "erased@example.org")}
    bodies.add(fill_in("bot@example.org", website="http://spam.example").content)
    assert len(bodies) == 1
    # Neither the suppressed one nor the machine left anything.
    assert sorted(Identifier.objects.values_list("value", flat=True)) == [EMAIL, "new@example.org"]
    assert OutboxMail.objects.count() == 2


def test_says_what_is_missing(form):
    for more, said in (
        ({"email": "dana"}, "complete address"),
        ({"cells": ()}, "at least one box"),
        ({"cells": ("orders:",)}, "at least one box"),
        ({"email": "d\0@example.org"}, "complete address"),
    ):
        answer = fill_in(**more)
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert not Profile.objects.exists()


def test_refuses_an_agreement_to_a_text_that_has_changed(form):
    client = Client()
    page = client.get("/forms/signup").content.decode()
    create_notice(key="signup", language="en", text="We sell everything.", actor="system", now=NOW)
    text_hash = re.search(r'name="text_hash"\s+value="(\w+)"', page)[1]
    answer = client.post("/forms/signup", {"identifier": EMAIL, "allow": "news:email", "text_hash": text_hash})
    assert answer.status_code == 422
    assert "We sell everything." in answer.content.decode()
    assert not Decision.objects.exists()


def test_stops_a_flood_and_sends_few_mails(form):
    statuses = [fill_in().status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    assert OutboxMail.objects.count() == 3


def test_a_form_without_confirmation_never_lifts_a_refusal(form, dana):
    api("compliance_officer").patch("/api/v1/consent-forms/signup", {"double_opt_in": False}, format="json")
    decide(dana, "news", "withdrawn", "email")
    fill_in()
    fill_in("new@example.org")
    assert state_of(dana, "news", "email") == "withdrawn"
    new = Profile.objects.exclude(pk=dana.pk).get()
    assert state_of(new, "news", "email") == "granted"
    assert Decision.objects.filter(conflict=True).count() == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"asks": []}, "input.invalid"),
        ({"asks": [{"purpose": "none"}]}, "consent.unknown_purpose"),
        ({"asks": [{"purpose": "news", "channel": "fax"}]}, "consent.unknown_channel"),
        ({"notice_key": "none"}, "consent.unknown_notice"),
        ({"languages": ["nl"]}, "input.invalid"),
        ({"identifier_type": "user_id"}, "input.invalid"),
        ({"identifier_type": "phone"}, "input.invalid"),
    ],
)
def test_refuses_a_form_that_nobody_could_fill_in(form, change, code):
    answer = api("compliance_officer").patch("/api/v1/consent-forms/signup", change, format="json")
    assert answer.status_code in {400, 404}
    assert answer.json()["code"] == code


def test_a_form_that_is_switched_off_is_gone(form):
    api("compliance_officer").patch("/api/v1/consent-forms/signup", {"enabled": False}, format="json")
    assert Client().get("/forms/signup").status_code == 404
    assert Client().get("/forms/none").status_code == 404


def test_links_belong_to_the_export_and_go_with_an_erasure(form, dana):
    officer = api("compliance_officer")
    fill_in()
    link(dana)
    body = {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]}
    made = officer.post("/api/v1/privacy-requests", body, format="json").json()
    preview = officer.get(f"/api/v1/privacy-requests/{made['id']}/preview").json()
    assert preview["stores"]["preference_links"] == 2
