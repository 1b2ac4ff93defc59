"""Keys of the REST API."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from cdp.core.models import ApiKey, AuditEntry
from cdp.core.queries.api_keys import find_key, forget_keys
from cdp.core.services.api_keys import KeyLimits, create_api_key, revoke_api_key, rotate_api_key
from tests.world import api, key_with, signed_in

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
    clock[0] += 4.9
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
        name="short",
        scopes=["audit:read"],
        actor="system",
        now=now,
        limits=KeyLimits(expires_at=now + timedelta(minutes=1)),
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


# --- Limits ----------------------------------------------------------------------------------------------------------


def made(client, **given):
    answer = client.post("/api/v1/api-keys", {"name": "crm", "scopes": ["sources:read"], **given}, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def bearer(key):
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def test_a_key_is_made_by_rest_and_its_text_shown_once():
    maker = api("administrator")
    shown = made(maker, expires_at="2999-01-01T00:00:00Z", addresses=["198.51.100.7", "2001:db8::/32"])
    assert re.fullmatch(r"cdp_[A-Za-z0-9_-]{43}", shown["key"])
    assert shown["state"] == "active"
    assert shown["addresses"] == ["198.51.100.7/32", "2001:db8::/32"]
    assert "key" not in maker.get("/api/v1/api-keys/crm").json()
    assert shown["key"] not in maker.get("/api/v1/api-keys").content.decode()


def test_nobody_gives_a_key_more_than_they_have():
    answer = api("keys:write").post("/api/v1/api-keys", {"name": "x", "scopes": ["audit:read"]}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "access.missing_scope")
    made(api("keys:write", "sources:read"))
    answer = api("keys:write").post("/api/v1/api-keys/crm/rotate", {}, format="json")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "given",
    [
        {"scopes": []},
        {"scopes": ["boss"]},
        {"name": "with space"},
        {"name": ""},
        {"addresses": ["198.51.100.300"]},
        {"addresses": ["example.org"]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"sources": ["../x"]},
    ],
)
def test_refuses_limits_that_cannot_be_read(given):
    body = {"name": "crm", "scopes": ["sources:read"], **given}
    assert api("administrator").post("/api/v1/api-keys", body, format="json").status_code == 400
    assert not ApiKey.objects.filter(name="crm").exists()


@pytest.mark.parametrize(
    ("address", "status"),
    [("198.51.100.7", 200), ("::ffff:198.51.100.7", 200), ("198.51.100.8", 401), ("2001:db8::9", 200), ("", 401)],
)
def test_a_key_works_from_its_addresses_only(address, status):
    key = made(api("administrator"), addresses=["198.51.100.7", "2001:db8::/32"])["key"]
    assert bearer(key).get("/api/v1/sources", REMOTE_ADDR=address).status_code == status


def test_an_address_of_ones_own_making_opens_nothing(settings):
    settings.CDP_TRUSTED_PROXIES = 1
    key = made(api("administrator"), addresses=["198.51.100.7"])["key"]
    forged = bearer(key).get("/api/v1/sources", headers={"x-forwarded-for": "198.51.100.7, 203.0.113.9"})
    assert forged.status_code == 401
    assert (
        bearer(key).get("/api/v1/sources", headers={"x-forwarded-for": "203.0.113.9, 198.51.100.7"}).status_code == 200
    )


def test_a_key_limited_to_sources_reaches_nothing_else():
    administrator = api("administrator")
    for source in ("shop", "app"):
        administrator.post("/api/v1/sources", {"key": source, "name": source, "kind": "server"}, format="json")
    key = made(administrator, scopes=["administrator"], sources=["shop"])["key"]
    limited = bearer(key)
    assert limited.get("/api/v1/sources/shop").status_code == 200
    assert limited.get("/api/v1/sources/shop/quality").status_code == 200
    for path in ("sources/app", "sources", "messages?message_id=1", "profiles", "segments", "segments/shop", "audit"):
        answer = limited.get(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "access.limited_to_sources"), path


# --- Rotation --------------------------------------------------------------------------------------------------------


def test_after_a_rotation_both_texts_work_until_the_overlap_ends():
    maker = api("administrator")
    old = made(maker)["key"]
    new = maker.post("/api/v1/api-keys/crm/rotate", {"overlap_hours": 1}, format="json").json()
    assert new["state"] == "rotating"
    assert [bearer(key).get("/api/v1/sources").status_code for key in (old, new["key"])] == [200, 200]
    later = timezone.now() + timedelta(hours=1, seconds=1)
    forget_keys()
    assert find_key(key=old, now=later) is None
    assert find_key(key=new["key"], now=later) is not None


def test_a_rotation_without_overlap_ends_the_old_text_at_once():
    maker = api("administrator")
    old = made(maker)["key"]
    maker.post("/api/v1/api-keys/crm/rotate", {"overlap_hours": 0}, format="json")
    assert bearer(old).get("/api/v1/sources").status_code == 401


def test_a_second_rotation_ends_the_first_text():
    maker = api("administrator")
    texts = [made(maker)["key"]]
    texts += [maker.post("/api/v1/api-keys/crm/rotate", {}, format="json").json()["key"] for _ in range(2)]
    assert [bearer(key).get("/api/v1/sources").status_code for key in texts] == [401, 200, 200]


def test_a_revoked_key_works_with_no_text_and_is_not_rotated():
    maker = api("administrator")
    old = made(maker)["key"]
    new = maker.post("/api/v1/api-keys/crm/rotate", {}, format="json").json()["key"]
    assert [maker.delete("/api/v1/api-keys/crm").status_code for _ in range(2)] == [204, 204]
    assert [bearer(key).get("/api/v1/sources").status_code for key in (old, new)] == [401, 401]
    answer = maker.post("/api/v1/api-keys/crm/rotate", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "api_key.ended")


def test_the_overlap_has_bounds():
    made(api("administrator"))
    for hours in (-1, 721, "soon", None):
        answer = api("administrator").post("/api/v1/api-keys/crm/rotate", {"overlap_hours": hours}, format="json")
        assert answer.status_code == 400, hours


def test_two_rotations_at_once_leave_one_new_text_that_works(committed):
    create_api_key(name="crm", scopes=["sources:read"], actor="system", now=timezone.now())

    def rotate(_):
        try:
            return rotate_api_key(name="crm", overlap_hours=0, actor="system", now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(rotate, range(2)))
    forget_keys()
    assert sorted(find_key(key=text, now=timezone.now()) is not None for text in texts) == [False, True]


# --- Pages -----------------------------------------------------------------------------------------------------------


def test_a_key_is_made_rotated_and_revoked_in_the_browser():
    browser = signed_in("ada")
    page = browser.post("/api-keys/new", {"name": "shop", "scopes": ["profiles:read"], "addresses": "198.51.100.0/24"})
    (key,) = set(re.findall(r"cdp_[\w-]{40,}", page.content.decode()))
    assert ApiKey.objects.get(name="shop").prefix == key[:12]
    listed = browser.get("/api-keys").content.decode()
    assert key not in listed
    assert "198.51.100.0/24" in listed
    page = browser.post("/api-keys/shop/rotate", {"overlap_hours": "24"})
    assert re.search(r"cdp_[\w-]{40,}", page.content.decode())
    assert browser.post("/api-keys/shop/revoke").status_code == 302
    assert ApiKey.objects.get(name="shop").revoked_at is not None
    actions = AuditEntry.objects.filter(object="api_key:shop").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["api_key.created", "api_key.rotated", "api_key.revoked"]


def test_a_page_says_what_is_wrong_with_a_key():
    answer = signed_in("ada").post("/api-keys/new", {"name": "a b", "scopes": ["profiles:read"]})
    assert answer.status_code == 422
    assert b"letters, digits, hyphens" in answer.content


def test_making_keys_needs_a_fresh_proof_by_page_and_by_rest():
    browser = signed_in("ada", minutes_ago=16)
    assert browser.get("/api-keys/new")["Location"].startswith("/account/confirm")
    answer = browser.post("/api/v1/api-keys", {"name": "x", "scopes": ["audit:read"]}, content_type="application/json")
    assert answer.json()["code"] == "account.reauthentication_needed"


@pytest.mark.parametrize("name", ["ana", "ben", "ivo", "cy"])
def test_keys_are_for_administrators(name):
    browser = signed_in(name)
    assert browser.get("/api-keys").status_code == 403
    assert browser.get("/api/v1/api-keys").status_code == 403
    assert browser.post("/api-keys/new", {"name": "x", "scopes": ["profiles:read"]}).status_code == 403
