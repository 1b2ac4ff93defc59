"""People who sign in: roles, invitations, passwords."""

import json
import re
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core import mail as django_mail
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from cdp.core import registries
from cdp.core.access import ROLE_SCOPES
from cdp.core.models import AuditEntry, Invitation, OutboxMail, User
from cdp.core.queries.accounts import scopes_of
from cdp.core.services import mail
from cdp.core.services.accounts import LastAdministrator, change_user, delete_user, ensure_roles
from cdp.core.services.invitations import invite
from cdp.core.ui.accounts import ANSWER_SECONDS
from tests.world import NOW, PASSWORD, signed_in, staff

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def link_of_last_mail() -> str:
    mail.send_mail()
    (address,) = re.findall(r"https?://[^/\s]+(/\S+)", django_mail.outbox[-1].body)
    return address


# --- Roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(ROLE_SCOPES))
def test_a_person_has_the_scopes_of_the_role(role):
    assert run("create_user", f"{role}@house.example", "--role", role, "--password", PASSWORD)[0] == 0
    assert scopes_of(user=User.objects.get(email=f"{role}@house.example")) == ROLE_SCOPES[role]


def test_roles_differ_in_what_only_they_may():
    ana, ben, ivo, cy = (scopes_of(user=staff(name)) for name in ("ana", "ben", "ivo", "cy"))
    assert "segments:write" in ana
    assert "segments:write" not in ben | ivo
    assert "privacy:write" in ben
    assert "privacy:write" not in ana | ivo
    assert "sources:write" in ivo
    assert "sources:write" not in ana | ben
    assert "personal_data:read" in ben
    assert "personal_data:read" not in ana | ivo
    assert cy == frozenset()


def test_ensuring_roles_twice_changes_nothing():
    ensure_roles()
    before = {group.name: set(group.permissions.all()) for group in Group.objects.all()}
    ensure_roles()
    assert {group.name: set(group.permissions.all()) for group in Group.objects.all()} == before
    assert set(before) == set(ROLE_SCOPES)
    assert before["administrator"] > before["marketer"]
    assert not any(right.content_type.app_label == "core" for right in before["marketer"])


# --- Commands --------------------------------------------------------------------------------------------------------


def test_first_administrator_is_printed_once_as_json(monkeypatch):
    monkeypatch.setenv("CDP_ADMIN_EMAIL", "Boss@House.example")
    monkeypatch.delenv("CDP_ADMIN_PASSWORD", raising=False)
    code, out, _ = run("ensure_administrator")
    made = json.loads(out)
    assert (code, made["email"]) == (0, "boss@house.example")
    assert len(made["password"]) >= 16
    user = User.objects.get(email="boss@house.example")
    assert user.check_password(made["password"])
    assert run("ensure_administrator") == (0, "", "")


def test_first_administrator_takes_the_password_of_the_environment(monkeypatch):
    monkeypatch.setenv("CDP_ADMIN_PASSWORD", PASSWORD)
    assert json.loads(run("ensure_administrator")[1])["password"] == PASSWORD


def test_preparations_run_each_time(monkeypatch):
    calls = []
    monkeypatch.setattr(registries, "preparations", [lambda: calls.append(1)])
    run("ensure_administrator")
    run("ensure_administrator")
    assert calls == [1, 1]


def test_create_user_repeated_changes_nothing():
    assert run("create_user", "ana@house.example", "--role", "marketer", "--password", PASSWORD)[0] == 0
    assert run("create_user", "Ana@House.example", "--role", "marketer", "--password", "other")[0] == 0
    assert User.objects.get(email="ana@house.example").check_password(PASSWORD)


@pytest.mark.parametrize(
    ("email", "role", "sentence"),
    [
        ("new@house.example", "boss", "'boss' is not a role"),
        ("nobody", "marketer", "not an e-mail address"),
        ("ben@house.example", "marketer", "exists already"),
    ],
)
def test_create_user_refuses_with_a_sentence(email, role, sentence):
    staff("ben")
    code, out, err = run("create_user", email, "--role", role, "--password", PASSWORD)
    assert (code, out) == (2, "")
    assert sentence in err


# --- Changes ---------------------------------------------------------------------------------------------------------


def test_a_change_of_role_holds_with_the_next_request():
    browser = signed_in("ben")
    assert browser.get("/api/v1/audit").status_code == 200
    change_user(user_id=staff("ben").pk, name="Ben", role="marketer", is_active=True, actor="user:1", now=NOW)
    assert browser.get("/api/v1/audit").status_code == 403
    change_user(user_id=staff("ben").pk, name="Ben", role=None, is_active=False, actor="user:1", now=NOW)
    assert browser.get("/api/v1/audit").status_code == 401


def test_keeps_the_last_administrator():
    ada = staff("ada")
    for act in (
        lambda: change_user(user_id=ada.pk, name="", role="marketer", is_active=True, actor="user:1", now=NOW),
        lambda: change_user(user_id=ada.pk, name="", role="administrator", is_active=False, actor="user:1", now=NOW),
        lambda: delete_user(user_id=ada.pk, actor="user:1", now=NOW),
    ):
        with pytest.raises(LastAdministrator):
            act()
    User.objects.create_user("other@house.example").groups.add(Group.objects.get(name="administrator"))
    delete_user(user_id=ada.pk, actor="user:1", now=NOW)
    assert AuditEntry.objects.filter(action="user.deleted", object=f"user:{ada.pk}").exists()


def test_audit_entries_about_people_hold_no_address():
    staff("ana")
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now())
    for entry in AuditEntry.objects.all():
        assert "@" not in f"{entry.actor}{entry.object}{entry.detail}"


# --- Invitations -----------------------------------------------------------------------------------------------------


def test_an_invited_person_comes_in():
    invite(email="New@House.example", role="integrator", actor="user:1", now=timezone.now())
    link = link_of_last_mail()
    browser = Client()
    assert b"new@house.example" in browser.get(link).content
    answer = browser.post(link, {"name": "Nia", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    signed = browser.post(LOGIN, {"username": "new@house.example", "password": PASSWORD})
    assert signed.status_code == 302
    assert scopes_of(user=User.objects.get(email="new@house.example")) == ROLE_SCOPES["integrator"]


def test_an_invitation_works_once():
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now())
    link = link_of_last_mail()
    Client().post(link, {"name": "Nia", "password": PASSWORD})
    answer = Client().get(link)
    assert answer.status_code == 404
    assert b"Ask for a new one" in answer.content
    assert Client().post(link, {"name": "X", "password": PASSWORD}).status_code == 404


def test_an_invitation_ends_after_seven_days():
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now() - timedelta(days=7))
    assert Client().get(link_of_last_mail()).status_code == 404


def test_inviting_again_makes_the_earlier_link_useless():
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now())
    first = link_of_last_mail()
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now())
    assert Client().get(first).status_code == 404
    assert Client().get(link_of_last_mail()).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"name": "Nia", "password": "short"},
        {"name": "Nia", "password": "password123"},
        {"name": "", "password": PASSWORD},
        {},
    ],
)
def test_an_invitation_refuses_bad_input_and_stays_open(given):
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now())
    link = link_of_last_mail()
    assert Client().post(link, given).status_code in {200, 422}
    assert Invitation.objects.count() == 1
    assert not User.objects.filter(email="new@house.example").exists()


def test_an_invitation_keeps_only_the_digest_of_its_token():
    invite(email="new@house.example", role="marketer", actor="user:1", now=timezone.now())
    token = link_of_last_mail().rsplit("/", 1)[1]
    assert token.encode() not in bytes(Invitation.objects.get().digest)


# --- Passwords -------------------------------------------------------------------------------------------------------


def test_a_new_password_by_mail():
    ana = staff("ana")
    browser = Client()
    assert browser.post("/password/reset", {"email": ana.email}, HTTP_HOST="evil.example").status_code == 302
    link = link_of_last_mail()
    assert "evil.example" not in django_mail.outbox[-1].body
    page = browser.get(link, follow=True)
    form = page.redirect_chain[-1][0]
    fresh = "an entirely different phrase"
    assert browser.post(form, {"new_password1": fresh, "new_password2": fresh}).status_code == 302
    ana.refresh_from_db()
    assert ana.check_password(fresh)
    assert b"does not work any more" in Client().get(link, follow=True).content


def test_asking_for_a_new_password_answers_the_same_for_an_unknown_address():
    staff("ana")
    told = {}
    for name in ("ana", "nobody"):
        began = time.monotonic()
        answer = Client().post("/password/reset", {"email": f"{name}@house.example"})
        # Neither is answered before the time that writing the mail may take.
        assert time.monotonic() - began >= ANSWER_SECONDS
        told[name] = (answer.status_code, answer["Location"])
    assert told["ana"] == told["nobody"]
    assert OutboxMail.objects.count() == 1


def test_the_page_names_the_outbox_folder_where_there_is_no_mail_server(settings):
    assert str(settings.CDP_OUTBOX_DIR).encode() in Client().get("/password/reset/sent").content
    settings.CDP_EMAIL_URL = "smtp://mail.house.example"
    assert str(settings.CDP_OUTBOX_DIR).encode() not in Client().get("/password/reset/sent").content


def test_login_is_locked_after_five_failures_and_says_for_how_long():
    staff("ana")
    browser = Client()
    for _ in range(5):
        last = browser.post(LOGIN, {"username": "ana@house.example", "password": "wrong"})
    assert last.status_code == 429
    assert last["Retry-After"] == "900"
    assert b"Wait 15 minutes" in last.content
    assert browser.post(LOGIN, {"username": "ana@house.example", "password": PASSWORD}).status_code == 429
    staff("ben")
    assert browser.post(LOGIN, {"username": "ben@house.example", "password": PASSWORD}).status_code == 302


# --- Lists in the shell ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["user", "invitation", "auditentry", "job", "invitation/add"])
def test_lists_are_for_administrators(path):
    address = f"/admin/core/{path}/"
    assert signed_in("ada").get(address).status_code == 200
    assert signed_in("ana").get(address).status_code == 403
    assert signed_in("cy").get(address).status_code == 403


def test_officer_sees_the_audit_trail_in_the_shell():
    assert signed_in("ben").get("/admin/core/auditentry/").status_code == 200


def test_a_role_is_changed_in_the_browser():
    ana = staff("ana")
    answer = signed_in("ada").post(
        f"/admin/core/user/{ana.pk}/change/", {"name": "Ana", "role": "integrator", "is_active": "on"}
    )
    assert answer.status_code == 302
    assert scopes_of(user=ana) == ROLE_SCOPES["integrator"]
    assert AuditEntry.objects.filter(action="user.changed", object=f"user:{ana.pk}").exists()


def test_an_invitation_is_sent_from_the_browser():
    signed_in("ada").post("/admin/core/invitation/add/", {"email": "new@house.example", "role": "marketer"})
    assert OutboxMail.objects.get().to == "new@house.example"


def test_list_of_people_costs_the_same_for_any_number(django_assert_max_num_queries):
    for name in ("ana", "ben", "ivo", "cy"):
        staff(name)
    browser = signed_in("ada")
    with django_assert_max_num_queries(15):
        browser.get("/admin/core/user/")
