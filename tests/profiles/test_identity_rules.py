"""Identity rules by REST: read, tried on what is stored, saved as versions, applied, each step safe to be killed in."""

import copy
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from cdp.core.models import AuditEntry, Job
from cdp.core.services.jobs import run_jobs
from consent.services.running import run_privacy_requests
from ingestion.models import Source
from ingestion.queries.write_keys import forget_write_keys
from profiles.models import (
    AbsorbedId,
    Edge,
    Identifier,
    Merge,
    Profile,
    QuarantinedValue,
    Refusal,
    RulesExample,
    RulesRun,
    RulesVersion,
)
from profiles.services import rules_runs
from tests.ingestion.filing import work
from tests.profiles.sending import events_of, identify, outcomes, partition, reasons, send, source, track
from tests.profiles.test_identity_properties import components
from tests.profiles.test_sharing_limit import homes_are_right
from tests.world import api, faults

pytestmark = pytest.mark.django_db
PATH = "/api/v1/identity/rules"


@pytest.fixture
def client() -> Any:
    return api("identity:write", "profiles:read")


def types(client: Any, **changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules in force with changes by type; a dot in a key is written as two underscores."""
    rows = copy.deepcopy(client.get(PATH).json()["results"])
    for row in rows:
        row.update(changes.pop(row["type"].replace(".", "__"), {}))
    return rows + [{"type": key, **rules} for key, rules in changes.items()]


def save(client: Any, **changes: dict[str, Any]) -> dict[str, Any]:
    """Save changed rules and let the jobs apply them; return the finished run."""
    answer = client.put(PATH, {"types": types(client, **changes)}, format="json")
    assert answer.status_code == 200, answer.content
    forget_write_keys()
    work()
    run: dict[str, Any] = client.get(f"{PATH}/runs/{answer.json()['run']['id']}").json()
    assert run["status"] == "done"
    assert partition() == components()
    assert homes_are_right()
    return run


def tried(client: Any, **changes: dict[str, Any]) -> dict[str, Any]:
    """Try changed rules; return the finished run."""
    before = snapshot()
    answer = client.post(f"{PATH}/dry-run", {"types": types(client, **changes)}, format="json")
    assert answer.status_code == 202, answer.content
    work()
    assert snapshot() == before
    run: dict[str, Any] = client.get(f"{PATH}/runs/{answer.json()['id']}").json()
    assert run["status"] == "done"
    return run


def snapshot() -> Any:
    """Return everything that a dry run must leave alone."""
    return (
        partition(),
        sorted(Edge.objects.values_list("a", "b", "state")),
        Refusal.objects.count(),
        Merge.objects.count(),
        QuarantinedValue.objects.count(),
        RulesVersion.objects.count(),
    )


def found(run: dict[str, Any]) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {name: count for name, count in run["counts"].items() if count}


def families(count: int) -> None:
    """Make that many pairs of accounts with one e-mail address: each pair is refused as one person."""
    for number in range(count):
        send(
            identify(f"u{number}", email=f"both{number}@example.org", plan="one"),
            identify(f"v{number}", email=f"both{number}@example.org", plan="two"),
        )


def test_reads_the_rules_in_force(client):
    body = client.get(PATH).json()
    assert body["version"] == 1
    assert [row["type"] for row in body["results"]][:3] == ["user_id", "email", "phone"]
    email = body["results"][1]
    assert {name: email[name] for name in ("limit", "sharing_limit", "normaliser", "source_kinds", "window")} == {
        "limit": 5,
        "sharing_limit": 5,
        "normaliser": "email",
        "source_kinds": None,
        "window": None,
    }


def test_saves_versions_and_names_who_made_them(client):
    answer = client.put(
        PATH, {"types": types(client, email={"limit": 3}), "version": 1, "note": "fewer"}, format="json"
    )
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    versions = client.get(f"{PATH}/versions").json()["results"]
    assert [(row["version"], row["note"]) for row in versions] == [(2, "fewer"), (1, "")]
    assert client.get(f"{PATH}/versions/2").json()["types"][1]["limit"] == 3
    assert AuditEntry.objects.filter(action="identity_rules.saved", object="identity_rules:2").count() == 1


def test_changes_nothing_when_the_same_is_saved_again(client):
    answer = client.put(PATH, {"types": types(client)}, format="json")
    assert answer.json() == {"version": 1, "run": None}
    assert RulesVersion.objects.count() == 0


def test_refuses_to_overwrite_what_somebody_saved_meanwhile(client):
    save(client, email={"limit": 3})
    answer = client.put(PATH, {"types": types(client, email={"limit": 4}), "version": 1}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "rules.conflict")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": "five"}, "limit"),
        ({"priority": None}, "priority"),
        ({"window": "decade"}, "window"),
        ({"window": "day", "limit": None}, "window"),
        ({"blocked_patterns": ["(a"]}, "blocked_patterns[0]"),
        ({"blocked_patterns": [r"(a)\1"]}, "blocked_patterns[0]"),
        ({"source_kinds": ["fax"]}, "source_kinds"),
        ({"link_purpose": "Not A Key"}, "link_purpose"),
        ({"normaliser": "phone"}, "normaliser"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_names_the_path_of_a_fault_and_changes_nothing(client, change, path):
    rows = types(client, email=change)
    for answer in (
        client.put(PATH, {"types": rows}, format="json"),
        client.post(f"{PATH}/dry-run", {"types": rows}, format="json"),
    ):
        assert answer.status_code == 400
        assert (f"types[1].{path}", "rules.invalid") in list(faults(answer.json()))
    assert RulesVersion.objects.count() == 0


@pytest.mark.parametrize("body", [{}, {"types": []}, {"types": "email"}, {"types": [7]}, [], {"types": [{}]}])
def test_refuses_what_are_no_rules(client, body):
    answer = client.put(PATH, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "rules.invalid")


def test_needs_the_scope_to_save():
    assert api("identity:read").put(PATH, {}, format="json").status_code == 403
    assert api("profiles:read").post(f"{PATH}/dry-run", {}, format="json").status_code == 403


def test_keeps_a_type_that_has_identifiers(client):
    send(identify("u1", email="one@example.org"))
    rows = [row for row in types(client) if row["type"] != "email"]
    answer = client.put(PATH, {"types": rows}, format="json")
    assert (answer.status_code, list(faults(answer.json()))) == (400, [("types", "rules.in_use")])
    rows = [row for row in types(client) if row["type"] != "phone"]
    assert client.put(PATH, {"types": rows}, format="json").status_code == 200


# --- Wider and narrower limits ---------------------------------------------------------------------------------------


def test_tells_and_then_makes_the_merges_that_a_wider_limit_allows(client):
    families(3)
    run = tried(client, user_id={"limit": 2})
    assert found(run) == {"merge": 3}
    examples = client.get(f"{PATH}/runs/{run['id']}/examples?kind=merge").json()["results"]
    assert len(examples) == 3
    for one in examples[0]["profile_ids"]:
        assert client.get(f"/api/v1/profiles/{one}").status_code == 200
    assert found(save(client, user_id={"limit": 2})) == {"merge": 3}
    assert partition() == {
        frozenset({f"user_id:u{n}", f"user_id:v{n}", f"email:both{n}@example.org"}) for n in range(3)
    }
    assert {merge.rule for merge in Merge.objects.all()} == {"rules version 2"}
    assert events_of("user_id", "u0") == 2
    # The traits of both sides, the most recent first.
    assert all(profile.traits["plan"] == "two" for profile in Profile.objects.all())


def test_tells_and_then_makes_the_splits_that_a_narrower_limit_asks_for(client):
    save(client, user_id={"limit": 2})
    families(2)
    absorbed = list(AbsorbedId.objects.values_list("uuid", flat=True))
    assert len(partition()) == 2
    expected = {"split": 2, "refuse": 2}
    assert found(tried(client, user_id={"limit": 1})) == expected
    assert found(save(client, user_id={"limit": 1})) == expected
    assert partition() == {frozenset({f"user_id:u{n}", f"email:both{n}@example.org"}) for n in range(2)} | {
        frozenset({f"user_id:v{n}"}) for n in range(2)
    }
    assert reasons() == ["user_id limit"] * 2
    assert {refusal.rule for refusal in Refusal.objects.all()} == {"rules version 3"}
    assert events_of("user_id", "v0") == 1
    assert absorbed == []


def test_gives_a_part_that_came_by_a_merge_its_public_id_back(client):
    save(client, user_id={"limit": 2})
    send(identify("u1", email="a@example.org"), identify("u2", email="b@example.org"))
    second = Identifier.objects.get(value="u2").profile.uuid
    send(identify("u1", email="b@example.org"))
    assert len(partition()) == 1
    assert AbsorbedId.objects.get().uuid == second
    save(client, user_id={"limit": 1})
    assert Identifier.objects.get(value="u2").profile.uuid == second
    assert Merge.objects.get().undone_at is not None
    assert client.get(f"/api/v1/profiles/{second}").json()["id"] == str(second)


def test_takes_back_exactly_what_a_wider_limit_joined(client):
    families(3)
    before = partition()
    save(client, user_id={"limit": 2})
    save(client, user_id={"limit": 1})
    assert partition() == before
    save(client, user_id={"limit": 2})
    assert len(partition()) == 3


def test_examines_only_what_can_be_concerned(client):
    families(1)
    send(*[identify(f"w{number}", f"a{number}") for number in range(20)])
    assert tried(client, anonymous_id={"limit": 1})["total"] == 0
    assert tried(client, user_id={"limit": 2})["total"] == 2


def test_keeps_what_a_steward_joined_whatever_the_limits_say(client):
    send(identify("u1", email="a@example.org"), identify("u2", email="b@example.org"))
    ids = [str(Identifier.objects.get(value=value).profile.uuid) for value in ("u1", "u2")]
    client.post("/api/v1/profiles/merge", {"profile_ids": ids, "reason": "same"}, format="json")
    assert len(partition()) == 1
    assert found(save(client, email={"limit": 1})) == {}
    assert len(partition()) == 1


def test_does_not_join_again_what_was_undone(client):
    send(identify("u1", email="a@example.org"), track("Seen", "", "a1"), identify("u1", "a1"))
    client.post(f"/api/v1/merges/{Merge.objects.get().pk}/undo")
    before = partition()
    save(client, user_id={"limit": 2}, anonymous_id={"limit": 50})
    assert partition() == before


def test_counts_a_limit_within_its_window(client):
    save(client, email={"limit": 1, "window": "day"})
    days = [NOW_PLUS(0), NOW_PLUS(0), NOW_PLUS(3)]
    for number, at in enumerate(days):
        send(identify("u1", email=f"mail{number}@example.org"), at=at)
    held = next(one for one in partition() if "user_id:u1" in one)
    assert held == {"user_id:u1", "email:mail0@example.org", "email:mail2@example.org"}
    assert reasons() == ["email limit"]


def NOW_PLUS(days: int) -> Any:  # noqa: N802 - reads as a moment
    from datetime import timedelta

    from tests.profiles.sending import NOW

    return NOW + timedelta(days=days)


# --- Other rules -----------------------------------------------------------------------------------------------------


def test_reads_a_custom_type_in_its_form_and_finds_it(client):
    save(client, card={"priority": 4, "limit": 2, "normaliser": "letters_digits", "name": "Customer card"})
    external = {"externalIds": [{"id": "ab-12 34", "type": "card", "collection": "users"}]}
    send({**track("Paid", "u1"), "context": external}, {**track("Paid", "", "a1"), "context": external})
    assert partition() == {frozenset({"user_id:u1", "anonymous_id:a1", "card:AB1234"})}
    found_by = client.post(
        "/api/v1/profiles/lookup", {"identifier": {"type": "card", "value": "AB 1234"}}, format="json"
    )
    assert found_by.status_code == 200
    rows = types(client, card={"normaliser": "lower"})
    answer = client.put(PATH, {"types": rows}, format="json")
    assert [code for _, code in faults(answer.json())] == ["rules.in_use"]


def test_blocks_values_by_pattern_and_takes_them_off_who_has_them(client):
    send(identify("u1", "a1", email="test1@shop.example"), identify("", "a2", email="test1@shop.example"))
    assert len(partition()) == 1
    patterns = {"blocked_patterns": [r"^test\d+@"]}
    assert found(tried(client, email=patterns)) == {"block": 1, "split": 1}
    save(client, email=patterns)
    assert frozenset({"user_id:u1", "anonymous_id:a1"}) in partition()
    assert frozenset({"anonymous_id:a2"}) in partition()
    send(identify("u3", email="test2@shop.example"))
    assert frozenset({"user_id:u3"}) in partition()
    # Back with the rule: what was said before holds again.
    save(client, email={"blocked_patterns": []})
    assert frozenset({"user_id:u1", "anonymous_id:a1", "anonymous_id:a2", "email:test1@shop.example"}) in partition()


def test_lets_only_the_kinds_of_sources_assert_a_type_that_may(client):
    browser = source("browser")
    send(identify("u1", email="a@example.org"), identify("u2", email="b@example.org"), origin=source("server"))
    send(identify("", "a1", email="a@example.org"), origin=browser)
    assert found(tried(client, email={"source_kinds": ["server", "import"]})) == {"split": 1}
    save(client, email={"source_kinds": ["server", "import"]})
    assert frozenset({"user_id:u1", "email:a@example.org"}) in partition()
    assert frozenset({"anonymous_id:a1"}) in partition()
    send(identify("", "a2", email="b@example.org"), origin=browser)
    assert frozenset({"anonymous_id:a2"}) in partition()
    assert outcomes() == {"accepted": 4}


def test_links_through_a_type_only_with_consent(client):
    save(client, device_id={"link_purpose": "cross-channel"})
    device = {"device": {"id": "d1"}}
    send(identify("u1"), {**identify("u1"), "context": device})
    assert partition() == {frozenset({"user_id:u1"})}
    assert reasons() == ["device_id needs consent to cross-channel"]
    grant(client, "u1")
    send({**identify("u1"), "context": device})
    assert partition() == {frozenset({"user_id:u1", "device_id:d1"})}
    withdraw(client, "u1")
    send({**identify("u1"), "context": {"device": {"id": "d2"}}})
    assert partition() == {frozenset({"user_id:u1", "device_id:d1"})}


def test_asks_for_consent_to_what_is_linked_already(client):
    send({**identify("u1"), "context": {"device": {"id": "d1"}}})
    send({**identify("u2"), "context": {"device": {"id": "d2"}}})
    grant(client, "u2")
    assert found(tried(client, device_id={"link_purpose": "cross-channel"})) == {}
    save(client, device_id={"link_purpose": "cross-channel"})
    assert partition() == {
        frozenset({"user_id:u1"}),
        frozenset({"device_id:d1"}),
        frozenset({"user_id:u2", "device_id:d2"}),
    }


def grant(client: Any, user: str, state: str = "granted") -> None:
    """Record what an account says about the purpose of linking."""
    officer = api("consents:write")
    officer.post(
        "/api/v1/purposes",
        {"key": "cross-channel", "name": "Cross-channel", "legal_basis": "consent", "channels": []},
        format="json",
    )
    answer = officer.post(
        "/api/v1/consents",
        {
            "identifier": {"type": "user_id", "value": user},
            "purpose": "cross-channel",
            "state": state,
            "evidence": {"kind": "form"},
        },
        format="json",
    )
    assert answer.status_code == 201, answer.content


def withdraw(client: Any, user: str) -> None:
    """Take it back."""
    grant(client, user, "withdrawn")


def test_quarantines_and_lifts_by_a_change_of_the_sharing_limit(client):
    families(2)
    assert found(tried(client, email={"sharing_limit": 1})) == {"quarantine": 2}
    save(client, email={"sharing_limit": 1})
    assert QuarantinedValue.objects.count() == 2
    assert frozenset({"user_id:u0"}) in partition()
    assert found(save(client, email={"sharing_limit": 5})) == {"lift": 2, "merge": 2}
    assert QuarantinedValue.objects.count() == 0
    assert frozenset({"user_id:u0", "email:both0@example.org"}) in partition()


# --- Jobs ------------------------------------------------------------------------------------------------------------


def test_goes_on_after_a_step_that_died(client, monkeypatch):
    families(30)
    client.put(PATH, {"types": types(client, user_id={"limit": 2})}, format="json")
    monkeypatch.setattr(rules_runs, "LEAST_CHUNK", 1)
    real, calls = rules_runs.carry_out, []

    def dies_once(*arguments: Any, **named: Any) -> Any:
        done = real(*arguments, **named)
        calls.append(done)
        if len(calls) == 2:
            # After the work of the step, before its commit.
            raise RuntimeError
        return done

    monkeypatch.setattr(rules_runs, "carry_out", dies_once)
    while run_jobs():
        Job.objects.filter(status=Job.Status.QUEUED).update(run_at="2026-01-01T00:00:00Z")
    assert len(calls) > 2
    assert RulesRun.objects.get().counts["merge"] == 30
    assert Merge.objects.count() == 30
    assert partition() == components()


def test_takes_messages_while_a_run_is_on(client, monkeypatch):
    families(25)
    monkeypatch.setattr(rules_runs, "LEAST_CHUNK", 1)
    client.put(PATH, {"types": types(client, user_id={"limit": 2})}, format="json")
    for number in range(25):
        run_jobs(seconds=0)
        send(identify(f"u{number}", f"late{number}"), track("Seen", f"v{number}", f"other{number}"))
    work()
    assert partition() == components()
    assert homes_are_right()
    assert all(
        {f"user_id:u{n}", f"user_id:v{n}", f"email:both{n}@example.org", f"anonymous_id:late{n}"} <= held
        for n in range(25)
        for held in partition()
        if f"user_id:u{n}" in held
    )


def test_applies_versions_one_after_the_other(client):
    families(3)
    client.put(PATH, {"types": types(client, user_id={"limit": 2})}, format="json")
    client.put(PATH, {"types": types(client, user_id={"limit": 1})}, format="json")
    while run_jobs():
        Job.objects.filter(status=Job.Status.QUEUED).update(run_at="2026-01-01T00:00:00Z")
    assert set(RulesRun.objects.values_list("status", flat=True)) == {"done"}
    assert len(partition()) == 6


def test_cancels_a_dry_run(client):
    families(1)
    answer = client.post(f"{PATH}/dry-run", {"types": types(client, user_id={"limit": 2})}, format="json")
    run_id = answer.json()["id"]
    assert client.post(f"{PATH}/runs/{run_id}/cancel").json()["status"] == "cancelled"
    work()
    assert RulesExample.objects.count() == 0


def test_forgets_an_erased_person_in_examples(client):
    families(1)
    run = tried(client, user_id={"limit": 2})
    desk = api("privacy:write")
    request = desk.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "user_id", "value": "u0"}], "regulation": "gdpr"},
        format="json",
    ).json()
    assert desk.post(f"/api/v1/privacy-requests/{request['id']}/approve").status_code == 200
    run_privacy_requests(clock=timezone.now)
    assert client.get(f"{PATH}/runs/{run['id']}/examples").json()["results"] == []


def test_lists_mega_profiles(client):
    send(identify("u1", "a1"), identify("u1", "a2"), identify("u2", "b1"))
    client.put("/api/v1/identity/mega-profiles", {"identifiers": 3, "events": 1000}, format="json")
    from profiles.services.mega_profiles import find_mega_profiles
    from tests.profiles.sending import NOW

    find_mega_profiles(NOW)
    listed = client.get("/api/v1/identity/mega-profiles").json()
    assert [(row["identifiers"], row["events"]) for row in listed["results"]] == [(3, 2)]
    assert listed["limits"] == {"identifiers": 3, "events": 1000}


def test_leaves_kinds_of_sources_as_the_rules_name_them():
    from profiles.identity.rules import SOURCE_KINDS

    assert set(Source.Kind.values) == set(SOURCE_KINDS)
    assert connection.vendor == "postgresql"
