"""Signing in: password, second factor, lock-out, sessions."""

import re
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail as django_mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from cdp.core.models import AuditEntry
from cdp.core.services import mail
from cdp.core.sign_in.second_factors import SecondFactorAdapter
from tests.world import PASSWORD, signed_in, staff

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def code_of(secret: str, *, steps: int = 0) -> str:
    """Return what an authenticator app shows, some steps of 30 seconds from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def secret_on(page: str) -> str:
    return re.search(r"Secret: <code>(\w+)</code>", " ".join(page.split())).group(1)


def add_app(browser: Client) -> str:
    """Add an authenticator app as a person does, and return its secret."""
    secret = secret_on(browser.get("/account/app/add").content.decode())
    answer = browser.post("/account/app/add", {"code": code_of(secret)})
    assert (answer.status_code, answer["Location"]) == (302, "/account/recovery-codes"), answer.content
    return secret


def recovery_codes(browser: Client) -> list[str]:
    return re.findall(r"<code>(\d{8})</code>", browser.get("/account/recovery-codes").content.decode())


def give_password(name: str, password: str = PASSWORD, browser: Client | None = None, **options: str):
    browser = browser or Client()
    return browser, browser.post(LOGIN, {"username": staff(name).email, "password": password}, **options)


# --- Password --------------------------------------------------------------------------------------------------------


def test_signs_in_by_email_and_password_alone():
    browser, answer = give_password("ana")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert browser.get("/").status_code == 200
    assert AuditEntry.objects.get(action="user.signed_in").detail == {"methods": ["password"]}


def test_leads_where_the_person_was_going_and_nowhere_else():
    staff("ana")
    given = {"username": staff("ana").email, "password": PASSWORD}
    assert Client().post(f"{LOGIN}?next=/profiles/", given)["Location"] == "/profiles/"
    assert Client().post(f"{LOGIN}?next=https://evil.example/", given)["Location"] == "/"
    assert Client().post(f"{LOGIN}?next=//evil.example/", given)["Location"] == "/"


@pytest.mark.parametrize(("email", "password"), [("ana@house.example", "wrong"), ("nobody@house.example", PASSWORD)])
def test_says_the_same_whether_the_person_exists_or_not(email, password):
    staff("ana")
    page = Client().post(LOGIN, {"username": email, "password": password}).content.decode()
    assert "The e-mail or the password is wrong, or the account may not sign in." in page


def test_says_the_same_to_who_is_switched_off():
    ana = staff("ana")
    ana.is_active = False
    ana.save()
    page = give_password("ana")[1].content.decode()
    assert "The e-mail or the password is wrong, or the account may not sign in." in page


def test_hashes_a_password_whether_the_person_exists_or_not(settings):
    # With the real hash, which takes far longer than everything else: both times differ by less than half.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    staff("ana").set_password(PASSWORD)
    took = {}
    for email in ("ana@house.example", "nobody@house.example"):
        tries = []
        for _ in range(2):
            began = time.process_time()
            Client().post(LOGIN, {"username": email, "password": "wrong"})
            tries.append(time.process_time() - began)
        took[email] = min(tries)
    fast, slow = sorted(took.values())
    assert fast > slow / 2, took


def test_a_lock_is_for_one_name_from_one_address_and_ends(settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        last = give_password("ana", "wrong")[1]
    assert last.status_code == 429
    assert 15 * 60 <= int(last["Retry-After"]) <= 30 * 60
    assert give_password("ana")[1].status_code == 429
    assert give_password("ana", REMOTE_ADDR="198.51.100.7")[1].status_code == 302
    assert give_password("ben")[1].status_code == 302
    from axes.models import AccessAttempt

    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert give_password("ana")[1].status_code == 302


def test_a_lock_cannot_be_escaped_by_a_header_of_ones_own(settings):
    settings.CDP_TRUSTED_PROXIES = 1
    for number in range(settings.AXES_FAILURE_LIMIT):
        # What the sender writes stands before what the proxy adds.
        last = give_password("ana", "wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, 198.51.100.7")[1]
    assert last.status_code == 429
    assert give_password("ana", HTTP_X_FORWARDED_FOR="198.51.100.8")[1].status_code == 302


# --- Second factor ---------------------------------------------------------------------------------------------------


def test_an_app_is_asked_for_after_the_password():
    secret = add_app(signed_in("ben"))
    browser, answer = give_password("ben")
    assert (answer.status_code, answer["Location"]) == (302, "/account/second-factor")
    assert browser.get("/").status_code == 302, "the password alone opens nothing"
    assert browser.post("/account/second-factor", {"code": "000000"}).status_code == 422
    assert browser.post("/account/second-factor", {"code": code_of(secret, steps=1)}).status_code == 302
    assert browser.get("/").status_code == 200
    assert AuditEntry.objects.get(action="user.signed_in").detail == {"methods": ["password", "mfa"]}


def test_a_code_works_once():
    secret = add_app(signed_in("ben"))
    code = code_of(secret, steps=1)
    for expected in (302, 422):
        browser, _ = give_password("ben")
        assert browser.post("/account/second-factor", {"code": code}).status_code == expected


def test_a_recovery_code_works_once():
    first = signed_in("ben")
    add_app(first)
    codes = recovery_codes(first)
    assert len(codes) == 10
    for expected in (302, 422):
        browser, _ = give_password("ben")
        assert browser.post("/account/second-factor", {"code": codes[0]}).status_code == expected
    assert len(recovery_codes(first)) == 9


def test_wrong_codes_lock_as_wrong_passwords_do(settings):
    secret = add_app(signed_in("ben"))
    browser, _ = give_password("ben")
    for _ in range(settings.AXES_FAILURE_LIMIT):
        last = browser.post("/account/second-factor", {"code": "000000"})
    assert last.status_code == 429
    assert browser.post("/account/second-factor", {"code": code_of(secret, steps=1)}).status_code == 429
    assert give_password("ben")[1].status_code == 429


def test_secrets_are_sealed_in_the_database():
    secret = add_app(signed_in("ben"))
    for factor in Authenticator.objects.all():
        assert secret not in str(factor.data)
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert SecondFactorAdapter().decrypt(stored) == secret


def test_a_change_is_told_by_mail_and_recorded(django_capture_on_commit_callbacks):
    browser = signed_in("ben")
    with django_capture_on_commit_callbacks(execute=True):
        add_app(browser)
    assert browser.post("/account/app/remove").status_code == 302
    mail.send_mail()
    bodies = [sent.body for sent in django_mail.outbox]
    assert [sent.to for sent in django_mail.outbox] == [[staff("ben").email]] * 2
    assert "was added" in bodies[0]
    assert "was removed" in bodies[1]
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"user.second_factor_added", "user.second_factor_removed"} <= actions
    assert not Authenticator.objects.exists(), "recovery codes go with the last factor"


@pytest.mark.parametrize("path", ["/account/app/add", "/account/keys/add", "/account/recovery-codes/new"])
def test_changing_how_one_signs_in_needs_a_fresh_proof(path):
    assert signed_in("ben", minutes_ago=16).get(path)["Location"].startswith("/account/confirm")


def test_a_code_is_proof_enough_before_a_step_that_matters():
    secret = add_app(signed_in("ben"))
    browser = signed_in("ben", minutes_ago=16)
    assert browser.post("/account/confirm", {"code": "000000"}).status_code == 422
    assert browser.post("/account/confirm", {"code": code_of(secret, steps=1), "next": "/"}).status_code == 302
    assert browser.get("/account/recovery-codes").status_code == 200


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_a_role_that_needs_a_second_factor_sees_nothing_without(settings, name):
    settings.CDP_SECOND_FACTOR_ROLES = frozenset({"administrator", "compliance_officer"})
    browser = signed_in(name)
    for path in ("/", "/profiles", "/admin/core/user/"):
        assert browser.get(path)["Location"] == "/account/", path
    refused = browser.get("/api/v1/sources")
    assert (refused.status_code, refused.json()["code"]) == (403, "account.second_factor_needed")
    add_app(browser)
    assert browser.get("/").status_code == 200
    assert browser.get("/api/v1/sources").status_code == 200


def test_other_roles_need_none(settings):
    settings.CDP_SECOND_FACTOR_ROLES = frozenset({"administrator", "compliance_officer"})
    assert signed_in("ana").get("/").status_code == 200


# --- Sessions --------------------------------------------------------------------------------------------------------


def test_lists_sessions_and_ends_one():
    here, _ = give_password("ana", HTTP_USER_AGENT="Mozilla/5.0 (Windows NT 10.0) Firefox/140.0")
    there, _ = give_password("ana", HTTP_USER_AGENT=LINUX)
    page = here.get("/account/").content.decode()
    assert "Firefox on Linux" in page
    assert page.count("Sign out there") == 1
    other = UserSession.objects.get(session_key=there.session.session_key)
    assert here.post(f"/account/sessions/{other.pk}/end").status_code == 302
    assert there.get("/").status_code == 302
    assert here.get("/").status_code == 200


def test_signs_out_everywhere_else():
    browsers = [give_password("ana")[0] for _ in range(3)]
    browsers[0].post("/account/sessions/end")
    assert [browser.get("/").status_code for browser in browsers] == [200, 302, 302]


def test_nobody_ends_the_session_of_somebody_else():
    give_password("ben")
    other = UserSession.objects.get()
    assert signed_in("ana").post(f"/account/sessions/{other.pk}/end").status_code == 404
    assert UserSession.objects.filter(pk=other.pk).exists()


def test_an_administrator_signs_somebody_out_and_takes_lost_factors_away():
    ben, _ = give_password("ben")
    add_app(signed_in("ben"))
    ada = signed_in("ada")
    page = {"action": "remove_factors", "_selected_action": [staff("ben").pk]}
    assert ada.post("/admin/core/user/", page).status_code == 302
    assert ben.get("/").status_code == 302
    assert give_password("ben")[1]["Location"] == "/", "the password is enough again"
    assert AuditEntry.objects.filter(action="user.second_factors_removed", object=f"user:{staff('ben').pk}").exists()


def test_a_new_password_ends_every_session():
    browser, _ = give_password("ana")
    ana = staff("ana")
    ana.set_password("another long phrase")
    ana.save()
    assert browser.get("/").status_code == 302


def test_a_session_lasts_twelve_hours_from_its_last_use():
    give_password("ana")
    session = Session.objects.get()
    left = session.expire_date - timezone.now()
    assert timedelta(hours=11) < left <= timedelta(hours=12)


def test_the_command_lets_the_last_administrator_in_again():
    add_app(signed_in("ada"))
    call_command("reset_second_factor", staff("ada").email)
    assert give_password("ada")[1]["Location"] == "/"


# --- First run -------------------------------------------------------------------------------------------------------


def test_the_checklist_leads_the_administrator_through_the_first_run():
    browser = signed_in("ada")
    page = browser.get("/installation/checklist").content.decode()
    assert "Add a second factor to your account" in page
    before = page.count("To do")
    add_app(browser)
    assert browser.get("/installation/checklist").content.decode().count("To do") == before - 2


def test_the_checklist_is_for_administrators():
    assert signed_in("ben").get("/installation/checklist").status_code == 403
