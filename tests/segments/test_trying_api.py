"""A definition is tried before it is saved: what its rows do, who is in and why, whom it reaches, how groups differ."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from profiles.models import Profile
from segments.models import Segment
from tests.segments.asking import ACTOR, definition, did, identify, profile_of, segment, track, trait
from tests.world import api, faults

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)


@pytest.fixture
def rest() -> APIClient:
    return api("segments:write", "profiles:read", "personal_data:read")


def post(rest: APIClient, path: str, body: Any) -> Any:
    return rest.post(f"/api/v1/segments/{path}", body, format="json")


def public(user: str) -> str:
    return str(Profile.objects.get(pk=profile_of(user)).uuid)


def purpose(key: str, basis: str, *channels: str) -> None:
    fields = {"name": key, "legal_basis": basis, "channels": list(channels)}
    create_purpose(key=key, fields=fields, actor=ACTOR, now=NOW)


def decide(user: str, key: str, channel: str | None, state: str) -> None:
    new = NewDecision(key, channel, state, ACTOR, profile_uuid=public(user))
    record_decision(new=new, now=NOW)


def rows(rest: APIClient, match: Any) -> tuple[int, dict[str, tuple[int, int | None, int]]]:
    answer = post(rest, "preview/rows", {"definition": definition(match)})
    assert answer.status_code == 200, answer.json()
    told = answer.json()
    return told["count"], {row["path"]: (row["count"], row["left_after"], row["without"]) for row in told["rows"]}


@pytest.fixture
def four() -> None:
    identify("ana", NOW, plan="pro", country="DE", age=31)
    identify("ben", NOW, plan="pro", country="FR", age=44)
    identify("cy", NOW, plan="free", country="DE", age=27)
    identify("dana", NOW, plan="free", country="AT")
    track("ana", "Order Completed", NOW)
    track("cy", "Order Completed", NOW)


@pytest.mark.usefixtures("four")
def test_tells_what_each_row_does(rest: APIClient) -> None:
    pro, german, ordered = trait("plan", "eq", "pro"), trait("country", "eq", "DE"), did("Order Completed")
    # Pro: ana, ben. German: ana, cy. Ordered: ana, cy.
    assert rows(rest, {"type": "all", "of": [pro, german, ordered]}) == (
        1,
        {"match.of[0]": (2, 2, 2), "match.of[1]": (2, 1, 1), "match.of[2]": (2, 1, 1)},
    )


@pytest.mark.usefixtures("four")
def test_tells_it_of_groups_and_negations_too(rest: APIClient) -> None:
    pro, german, ordered = trait("plan", "eq", "pro"), trait("country", "eq", "DE"), did("Order Completed")
    inner = {"type": "any", "of": [pro, german]}
    found = rows(rest, {"type": "all", "of": [{"type": "not", "of": ordered}, inner]})
    # Not ordered: ben, dana. Pro or German: ana, ben, cy. Together: ben.
    assert found == (
        1,
        {
            "match.of[0]": (2, 2, 3),
            "match.of[0].of": (2, None, 3),
            "match.of[1]": (3, 1, 2),
            "match.of[1].of[0]": (2, None, 0),
            "match.of[1].of[1]": (2, None, 1),
        },
    )


@pytest.mark.usefixtures("four")
def test_without_its_only_row_a_definition_finds_everyone(rest: APIClient) -> None:
    assert rows(rest, trait("plan", "eq", "pro")) == (2, {"match": (2, 2, 4)})
    assert rows(rest, {"type": "everyone"}) == (4, {"match": (4, 4, 4)})


@pytest.mark.usefixtures("four")
def test_of_any_a_row_says_who_is_found_so_far(rest: APIClient) -> None:
    found = rows(rest, {"type": "any", "of": [trait("plan", "eq", "pro"), trait("country", "eq", "DE")]})
    assert found == (3, {"match.of[0]": (2, 2, 2), "match.of[1]": (2, 3, 2)})


@pytest.mark.usefixtures("four")
def test_explains_members_and_pinned_people(rest: APIClient) -> None:
    body = {"definition": definition({"type": "all", "of": [trait("plan", "eq", "pro"), did("Order Completed")]})}
    people = post(rest, "preview/people", body).json()["people"]
    assert [(one["profile"]["id"], one["member"]) for one in people] == [(public("ana"), True)]
    pinned = post(rest, "preview/people", {**body, "profile_ids": [public("cy"), public("ben")]}).json()["people"]
    assert [one["profile"]["id"] for one in pinned] == [public("cy"), public("ben")]
    assert [[line["result"] for line in one["tree"]] for one in pinned] == [[False, False, True], [False, True, False]]


@pytest.mark.usefixtures("four")
def test_masks_what_was_found_in_people() -> None:
    body = {"definition": definition(trait("plan", "eq", "pro"))}
    answer = post(api("segments:read", "profiles:read"), "preview/people", body).json()
    assert answer["people"][0]["tree"][0]["observed"] != "pro"
    assert answer["people"][0]["profile"]["traits"]["plan"]["value"] != "pro"


def test_counts_whom_a_channel_reaches_question_by_question(rest: APIClient) -> None:
    purpose("news", "consent", "email", "sms")
    for name in ("ana", "ben", "cy"):
        identify(name, NOW, email=f"{name}@example.org", plan="pro")
    identify("dana", NOW, plan="pro")
    decide("ana", "news", "email", "granted")
    decide("ben", "news", None, "granted")
    decide("cy", "news", "email", "withdrawn")
    answer = post(rest, "preview/reach", {"definition": definition(trait("plan", "eq", "pro")), "purpose": "news"})
    told = answer.json()
    assert told["count"] == 4
    email, sms = told["channels"]
    assert (email["channel"], email["matching"], email["has_address"]) == ("email", 4, 3)
    # Ana by e-mail, Ben on all channels.
    assert (email["consented"], email["not_suppressed"]) == (2, 2)
    assert (sms["has_address"], sms["consented"]) == (0, 0)


def test_an_objection_holds_back_where_no_consent_is_needed(rest: APIClient) -> None:
    purpose("care", "contract", "email")
    for name in ("ana", "ben"):
        identify(name, NOW, email=f"{name}@example.org")
    decide("ben", "care", "email", "objected")
    channel = post(rest, "preview/reach", {"definition": definition({"type": "everyone"})}).json()["channels"][0]
    assert (channel["has_address"], channel["consented"], channel["not_suppressed"]) == (2, 2, 1)


@pytest.mark.usefixtures("four")
def test_compares_two_groups_in_a_trait(rest: APIClient) -> None:
    segment("pro", trait("plan", "eq", "pro"), now=NOW)
    body = {"left": {"key": "pro"}, "right": {"definition": definition({"type": "everyone"})}, "trait": "country"}
    told = post(rest, "compare", body).json()
    assert told["counts"] == {"left": 2, "right": 4}
    shares = {row["value"]: (row["left_share"], row["right_share"]) for row in told["values"]}
    assert shares == {"DE": (0.5, 0.5), "FR": (0.5, 0.25), "AT": (0.0, 0.25)}
    assert told["numbers"] is None


@pytest.mark.usefixtures("four")
def test_compares_numbers_by_their_course(rest: APIClient) -> None:
    everyone = {"definition": definition({"type": "everyone"})}
    pro = {"definition": definition(trait("plan", "eq", "pro"))}
    numbers = post(rest, "compare", {"left": pro, "right": everyone, "trait": "age"}).json()["numbers"]
    assert (numbers["left"]["known"], numbers["left"]["mean"], numbers["left"]["quantiles"][2]) == (2, 37.5, 37.5)
    assert (numbers["right"]["known"], numbers["right"]["least"], numbers["right"]["most"]) == (3, 27, 44)
    counted = post(rest, "compare", {"left": pro, "right": everyone, "trait": "orders_count"}).json()
    assert counted["counts"] == {"left": 2, "right": 4}


@pytest.mark.usefixtures("four")
def test_small_groups_are_named_to_those_only_who_see_persons(rest: APIClient) -> None:
    everyone = {"definition": definition({"type": "everyone"})}
    body = {"left": everyone, "right": everyone, "trait": "country"}
    told = post(api("segments:read", "profiles:read"), "compare", body).json()
    assert (told["values"], told["others"]) == ([], {"left": 4, "right": 4})
    told = post(api("segments:read"), "compare", body).json()
    assert (told["counts"], told["others"]) == ({"left": None, "right": None}, {"left": None, "right": None})
    assert rest.get("/api/v1/segments/values?trait=country").json()["values"][0] == {"value": "DE", "count": 2}
    assert api("segments:read").get("/api/v1/segments/values?trait=country").json() == {"values": []}


@pytest.mark.usefixtures("four")
def test_small_groups_have_no_number_for_whoever_may_not_see_persons(settings: Any) -> None:
    purpose("news", "consent", "email")
    settings.CDP_SMALLEST_GROUP = 3
    blind = api("segments:read")
    body = {"definition": definition({"type": "all", "of": [trait("plan", "eq", "pro"), trait("age", "gt", 18)]})}
    # Pro: ana, ben. Over 18: these and cy.
    told = post(blind, "preview", body).json()
    assert (told["count"], told["sample"]) == (None, [])
    told = post(blind, "preview/rows", body).json()
    rows = [(row["count"], row["left_after"], row["without"], row["difference"]) for row in told["rows"]]
    # The number without the first row is 3, one more than with it: that would tell of the one.
    assert (told["count"], rows) == (None, [(None, None, None, None), (3, None, None, None)])
    told = post(blind, "preview/reach", body).json()
    assert (told["count"], told["channels"][0]["matching"], told["channels"][0]["has_address"]) == (None, None, 0)
    assert post(blind, "preview/people", body).status_code == 403
    everyone = {"definition": definition({"type": "everyone"})}
    told = post(blind, "preview", everyone).json()
    assert (told["count"], told["sample"]) == (4, [])


def test_suggests_values_of_properties(rest: APIClient) -> None:
    for user, colour in (("ana", "Red"), ("ben", "red wine"), ("cy", "blue")):
        track(user, "Viewed", NOW, colour=colour, tags=["new", colour])
    asked = "/api/v1/segments/values?event=Viewed&property="
    assert rest.get(f"{asked}colour&q=RED").json() == {
        "values": [{"value": "Red", "count": 1}, {"value": "red wine", "count": 1}]
    }
    assert rest.get(f"{asked}tags").json()["values"][0] == {"value": "new", "count": 3}


def test_refuses_to_suggest_for_nothing(rest: APIClient) -> None:
    assert rest.get("/api/v1/segments/values").status_code == 400
    assert rest.get("/api/v1/segments/values?event=Viewed").status_code == 400
    assert rest.get("/api/v1/segments/values?trait=a..b").status_code == 400


def test_tells_the_size_day_by_day(rest: APIClient) -> None:
    identify("ana", NOW, plan="pro")
    segment("pro", trait("plan", "eq", "pro"), now=NOW)
    days = rest.get("/api/v1/segments/pro/sizes?days=2").json()["days"]
    assert [day["size"] for day in days][-1] == 1
    assert sum(day["entered"] for day in days) == 1
    assert rest.get("/api/v1/segments/pro/sizes?days=0").status_code == 400


@pytest.mark.parametrize("path", ["preview/rows", "preview/people", "preview/reach"])
def test_trying_needs_a_scope_and_a_valid_definition(rest: APIClient, path: str) -> None:
    body = {"definition": definition(trait("plan", "like", "x"))}
    assert post(api("profiles:read"), path, body).status_code == 403
    answer = post(rest, path, body)
    assert (answer.status_code, faults(answer.json())[0][0]) == (400, "match.op")
    assert Segment.objects.count() == 0


def test_comparing_needs_two_groups(rest: APIClient) -> None:
    everyone = {"definition": definition({"type": "everyone"})}
    assert post(rest, "compare", {"left": {}, "right": everyone, "trait": "plan"}).status_code == 400
    assert post(rest, "compare", {"left": {"key": "nobody"}, "right": everyone, "trait": "plan"}).status_code == 404
