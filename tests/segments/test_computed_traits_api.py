"""Computed traits by REST: defined, computed, kept current, usable in conditions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from profiles.models import Profile
from segments.models import ComputedTrait, TraitValue
from tests.segments.asking import SECOND, catch_up, did, identify, members, profile_of, segment, track, trait
from tests.world import api, faults

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)


@pytest.fixture
def rest() -> APIClient:
    return api("segments:write", "profiles:read", "personal_data:read")


def define(compute: Any) -> Any:
    return {"version": 1, "timezone": "UTC", "compute": compute}


def summary(fn: str, name: str = "Order", **more: Any) -> Any:
    return define({"type": "summary", "fn": fn, "name": name, **more})


def create(rest: APIClient, key: str, definition: Any, status: str = "live") -> Any:
    body = {"key": key, "name": key, "definition": definition, "status": status}
    return rest.post("/api/v1/computed-traits", body, format="json")


def values(key: str) -> dict[int, Any]:
    return dict(TraitValue.objects.filter(trait__key=key, value__isnull=False).values_list("profile_id", "value"))


@pytest.fixture
def shoppers() -> None:
    for at, total, colour in ((-3, 5, "red"), (-2, "7.5", "blue"), (-1, 1, "red")):
        track("ana", "Order", NOW + timedelta(days=at), sent=NOW, total=total, colour=colour, tags=["a", colour])
    track("ben", "Order", NOW - timedelta(days=10), sent=NOW, total=2)
    identify("cy", NOW, plan="free")


@pytest.mark.usefixtures("shoppers")
@pytest.mark.parametrize(
    ("definition", "ana", "ben"),
    [
        (summary("count"), 3, 1),
        (summary("count", window={"last": "P5D"}), 3, None),
        (summary("sum", property="total"), 13.5, 2),
        (summary("average", property="total"), 4.5, 2),
        (summary("min", property="total"), 1, 2),
        (summary("max", property="total"), 7.5, 2),
        (summary("first", property="colour"), "red", None),
        (summary("last", property="total"), 1, 2),
        (summary("most_frequent", property="colour"), "red", None),
        (summary("distinct_list", property="colour"), ["blue", "red"], None),
        (summary("days_since"), 1, 10),
        (summary("sum", property="total", where={"property": "colour", "op": "eq", "value": "red"}), 6, None),
    ],
)
def test_computes_what_events_come_to(rest: APIClient, definition: Any, ana: Any, ben: Any) -> None:
    answer = create(rest, "value", definition)
    assert (answer.status_code, answer.json()["status"]) == (201, "live")
    assert values("value") == {
        profile_of(user): value for user, value in (("ana", ana), ("ben", ben)) if value is not None
    }


@pytest.mark.usefixtures("shoppers")
def test_names_classes_of_a_weighted_score(rest: APIClient) -> None:
    compute = {
        "type": "weighted_score",
        "criteria": [
            {"when": did("Order"), "weight": 10},
            {"when": did("Order", op="gte", value=3), "weight": 15.5},
            {"when": trait("plan", "eq", "free"), "weight": -4},
        ],
        "thresholds": [{"from": 20, "class": "gold"}, {"from": 0, "class": "bronze"}, {"from": 10, "class": "silver"}],
    }
    answer = create(rest, "worth", define(compute)).json()
    assert answer["default"] == {"score": 0, "class": "bronze"}
    assert values("worth") == {
        profile_of("ana"): {"score": 25.5, "class": "gold"},
        profile_of("ben"): {"score": 10, "class": "silver"},
        profile_of("cy"): {"score": -4, "class": None},
    }
    segment("gold", trait("worth.class", "eq", "gold"), now=NOW)
    assert members("gold") == {"ana"}


def test_ranks_all_who_ordered(rest: APIClient) -> None:
    for number in range(1, 6):
        for order in range(number):
            properties = {"order_id": f"{number}-{order}", "revenue": 10}
            track(f"u{number}", "Order Completed", NOW - timedelta(days=10 - number), sent=NOW, **properties)
    create(rest, "rank", define({"type": "rfm"}))
    # u5 ordered last, most often and for most.
    best = values("rank")[profile_of("u5")]
    assert best == {"r": 5, "f": 5, "m": 5, "score": "555", "segment": "champions"}
    assert values("rank")[profile_of("u1")] == {"r": 1, "f": 1, "m": 1, "score": "111", "segment": "lost"}
    segment("best", {"type": "rfm", "r": [5], "f": [4, 5]}, now=NOW)
    segment("champions", trait("rank.segment", "eq", "champions"), now=NOW)
    assert members("best") == members("champions") == {"u5"}


def test_is_kept_current_by_events_and_by_time_and_moves_segments(rest: APIClient) -> None:
    create(rest, "recent", summary("count", window={"last": "P1D"}))
    segment("busy", trait("recent", "gte", 2), now=NOW)
    segment("idle", trait("recent", "eq", 0), now=NOW)
    start = datetime.now(UTC)
    track("ana", "Order", start, total=1)
    track("ana", "Order", start + SECOND, total=1)
    catch_up(start + 2 * SECOND)
    assert (members("busy"), members("idle")) == ({"ana"}, set())
    catch_up(start + timedelta(days=1, seconds=2))
    assert (members("busy"), members("idle")) == (set(), {"ana"})
    assert values("recent") == {}


@pytest.mark.usefixtures("shoppers")
def test_is_shown_among_the_traits_of_a_profile(rest: APIClient) -> None:
    create(rest, "spent", summary("sum", property="total"))
    public = Profile.objects.get(pk=profile_of("ana")).uuid
    shown = rest.get(f"/api/v1/profiles/{public}").json()["traits"]["spent"]
    assert (shown["value"], shown["source"]) == (13.5, "computed")
    masked = api("profiles:read").get(f"/api/v1/profiles/{public}").json()["traits"]["spent"]
    assert masked["value"] != 13.5


@pytest.mark.usefixtures("shoppers")
def test_is_tried_before_it_is_saved(rest: APIClient) -> None:
    body = {"definition": summary("sum", property="total")}
    told = rest.post("/api/v1/computed-traits/preview", body, format="json").json()
    assert told["count"] == 2
    assert told["numbers"] == {"known": 2, "least": 2, "most": 13.5, "mean": 7.75, "total": 15.5}
    assert {one["value"] for one in told["sample"]} == {13.5, 2}
    assert told["sentence"] == "Total total of “Order” ever."
    assert ComputedTrait.objects.count() == 0
    create(rest, "spent", body["definition"])
    assert rest.get("/api/v1/computed-traits/spent/summary").json()["numbers"]["total"] == 15.5
    assert len(rest.get("/api/v1/computed-traits/spent/values").json()["results"]) == 2


@pytest.mark.usefixtures("shoppers")
def test_few_people_are_not_told_of_to_those_who_see_none(rest: APIClient) -> None:
    body = {"definition": summary("last", property="colour")}
    told = api("segments:read", "profiles:read").post("/api/v1/computed-traits/preview", body, format="json").json()
    assert (told["count"], told["numbers"], told["values"]) == (1, None, [])
    assert told["sample"][0]["value"] != "red"
    told = api("segments:read").post("/api/v1/computed-traits/preview", body, format="json").json()
    assert (told["count"], told["numbers"], told["values"], told["sample"]) == (None, None, [], [])


@pytest.mark.usefixtures("shoppers")
def test_a_changed_definition_is_computed_anew(rest: APIClient) -> None:
    create(rest, "value", summary("count"))
    segment("three", trait("value", "gte", 3), now=NOW)
    change = {"definition": summary("count", window={"last": "P2D"})}
    answer = rest.patch("/api/v1/computed-traits/value", change, format="json").json()
    assert answer["version"] == 2
    assert values("value") == {profile_of("ana"): 1}
    assert members("three") == set()


@pytest.mark.usefixtures("shoppers")
def test_a_name_that_was_sent_before_means_the_computed_trait_from_then_on(rest: APIClient) -> None:
    segment("free", trait("plan", "eq", "free"), now=NOW)
    assert members("free") == {"cy"}
    create(rest, "plan", summary("last", property="colour"))
    assert members("free") == set()


def test_what_is_used_is_neither_deleted_nor_put_out_of_use(rest: APIClient) -> None:
    create(rest, "value", summary("count"))
    segment("some", trait("value", "gte", 3), now=NOW)
    assert rest.delete("/api/v1/computed-traits/value").json()["code"] == "segment.in_use"
    assert rest.patch("/api/v1/computed-traits/value", {"status": "archived"}, format="json").status_code == 409
    rest.delete("/api/v1/segments/some")
    assert rest.delete("/api/v1/computed-traits/value").status_code == 204
    assert rest.get("/api/v1/computed-traits/value").status_code == 404


def test_refuses_a_circle_through_segments(rest: APIClient) -> None:
    create(rest, "value", summary("count"))
    segment("some", trait("value", "gte", 3), now=NOW)
    scored = {"type": "weighted_score", "criteria": [{"when": {"type": "segment", "key": "some"}, "weight": 1}]}
    create(rest, "score", define(scored))
    body = {"definition": {"version": 1, "match": trait("score", "gt", 0)}}
    answer = rest.patch("/api/v1/segments/some", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "segment.circular_reference")
    change = {"definition": define(scored)}
    assert rest.patch("/api/v1/computed-traits/value", change, format="json").status_code == 400


@pytest.mark.parametrize(
    ("key", "definition", "path"),
    [
        ("value", define({"type": "magic"}), "compute.type"),
        ("value", summary("sum"), "compute.property"),
        ("value", summary("count", property="total"), "compute.property"),
        ("value", summary("mode"), "compute.fn"),
        ("value", define({"type": "weighted_score", "criteria": []}), "compute.criteria"),
        ("value", define({"type": "rfm", "groups": [{"name": "x", "r": [6]}]}), "compute.groups[0].r[0]"),
        ("value", {"version": 2, "compute": {}}, "version"),
        ("orders_count", summary("count"), "key"),
        ("Not a name", summary("count"), "key"),
    ],
)
def test_says_what_is_wrong_with_a_definition(rest: APIClient, key: str, definition: Any, path: str) -> None:
    answer = create(rest, key, definition)
    assert answer.status_code == 400
    assert [fault[0] for fault in faults(answer.json())] == [path]


def test_needs_scopes(rest: APIClient) -> None:
    assert create(api("segments:read"), "value", summary("count")).status_code == 403
    assert create(rest, "value", summary("count")).status_code == 201
    assert create(rest, "value", summary("count")).status_code == 200
    assert create(rest, "value", summary("days_since")).status_code == 409
    assert [row["key"] for row in rest.get("/api/v1/computed-traits").json()["results"]] == ["value"]
