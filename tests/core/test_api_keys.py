"""Keys of the REST API."""

import hashlib
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from cdp.core.models import ApiKey, AuditEntry
from cdp.core.queries.api_keys import find_key, forget_keys
from cdp.core.services.api_keys import create_api_key, revoke_api_key
from tests.world import api, key_with

pytestmark = pytest.mark.django_db

AUDIT = "/api/v1/audit"


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_command_prints_the_key_and_nothing_else():
    code, out, err = run("create_api_key", "reporting", "--scopes", "profiles:read,segments:write")
    assert (code, err) == (0, "")
    key = out.removesuffix("\n")
    assert key.startswith("cdp_")
    assert len(key) >= 4 + 32
    row = ApiKey.objects.get(name="reporting")
    assert bytes(row.digest) == hashlib.sha256(key.encode()).digest()
    assert row.scopes == ["profiles:read", "segments:write"]


def test_command_repeated_prints_nothing_and_keeps_the_key():
    _, first, _ = run("create_api_key", "reporting", "--scopes", "profiles:read")
    code, out, err = run("create_api_key", "reporting", "--scopes", "profiles:read")
    assert (code, out) == (0, "")
    assert "reporting exists" in err
    assert find_key(key=first.strip(), now=timezone.now()) is not None


def test_command_refuses_an_unknown_scope_and_names_the_allowed_ones():
    code, out, err = run("create_api_key", "reporting", "--scopes", "profiles:read,profiles:destroy")
    assert (code, out) == (2, "")
    assert "'profiles:destroy'" in err
    assert "personal_data:read" in err
    assert not ApiKey.objects.exists()


def test_command_refuses_no_scope():
    code, out, _ = run("create_api_key", "reporting", "--scopes", " , ")
    assert (code, out) == (2, "")


def test_answers_401_without_a_key():
    answer = api().get(AUDIT)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer cdp_nonsense", "bearer \udc80", "Bearer " + "x" * 5000, "Basic Zm9v", "Bearer a\0b"],
)
def test_answers_401_to_an_unusable_key(header):
    client = api()
    client.credentials(HTTP_AUTHORIZATION=header)
    assert client.get(AUDIT).status_code == 401


def test_accepts_any_case_of_the_scheme():
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"bEARER {key_with('audit:read')}")
    assert client.get(AUDIT).status_code == 200


def test_answers_403_naming_the_scope_that_is_missing():
    answer = api("profiles:read").get(AUDIT)
    assert answer.status_code == 403
    assert answer.json()["code"] == "access.missing_scope"
    assert "audit:read" in answer.json()["detail"]


def test_refuses_a_revoked_key_at_once_here():
    key = key_with("audit:read", name="leaver")
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert client.get(AUDIT).status_code == 200
    revoke_api_key(name="leaver", actor="system", now=timezone.now())
    assert client.get(AUDIT).status_code == 401


def test_sees_a_revocation_by_another_process_within_five_seconds(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("cdp.core.queries.api_keys.time.monotonic", lambda: clock[0])
    forget_keys()
    key = key_with("audit:read", name="leaver")
    assert find_key(key=key, now=timezone.now()) is not None
    ApiKey.objects.filter(name="leaver").update(revoked_at=timezone.now())
    clock[0] += 5.01
    assert find_key(key=key, now=timezone.now()) is None
    forget_keys()


def test_costs_no_query_while_it_is_remembered(django_assert_num_queries):
    key = key_with("audit:read")
    now = timezone.now()
    find_key(key=key, now=now)
    with django_assert_num_queries(0):
        find_key(key=key, now=now)


def test_refuses_an_expired_key():
    now = timezone.now()
    key = create_api_key(
        name="short", scopes=["audit:read"], actor="system", now=now, expires_at=now + timedelta(minutes=1)
    )
    assert find_key(key=key, now=now + timedelta(seconds=59)) is not None
    assert find_key(key=key, now=now + timedelta(seconds=60)) is None


def test_notes_its_use(monkeypatch):
    monkeypatch.setattr("cdp.core.services.api_keys._next_write", 0.0)
    client = api("audit:read", name="used")
    client.get(AUDIT)
    assert ApiKey.objects.get(name="used").last_used_at is not None


def test_creation_and_revocation_leave_audit_entries():
    create_api_key(name="watched", scopes=["marketer"], actor="user:7", now=timezone.now())
    revoke_api_key(name="watched", actor="user:7", now=timezone.now())
    revoke_api_key(name="watched", actor="user:7", now=timezone.now())
    acts = AuditEntry.objects.filter(object="api_key:watched").order_by("id")
    assert [(act.actor, act.action) for act in acts] == [
        ("user:7", "api_key.created"),
        ("user:7", "api_key.revoked"),
    ]


def test_writing_includes_reading_of_the_same_resource_only():
    key = find_key(key=key_with("segments:write"), now=timezone.now())
    assert key is not None
    assert key.principal.scopes == {"segments:write", "segments:read"}


@pytest.mark.parametrize("name", ["", "with space", "ü", "a" * 65, "a\0"])
def test_refuses_a_name_that_is_no_slug(name):
    code, out, _ = run("create_api_key", name, "--scopes", "marketer")
    assert (code, out) == (2, "")
