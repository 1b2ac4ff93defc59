"""The builder of segments in a real browser: by keyboard, by mouse, on a telephone, magnified."""

import json
import uuid

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in
from tests.journeys.calling import call, new_key, new_source, post, wait_for

PREVIEW = "**/segments/new/count"

LEAVES = [
    {"type": "trait", "path": "address.city", "op": "eq", "value": "Berlin"},
    {"type": "trait", "path": "age", "cast": "number", "op": "between", "value": [18, 30]},
    {"type": "trait", "path": "plan", "op": "not_in", "value": ["free", "trial"]},
    {"type": "trait", "path": "vip", "op": "eq", "value": True},
    {"type": "trait", "path": "email", "op": "exists"},
    {"type": "trait", "path": "signed_up", "cast": "date", "op": "in_last", "value": "P30D"},
    {"type": "trait", "path": "signed_up", "cast": "datetime", "op": "before", "value": {"ago": "P90D"}},
    {"type": "trait", "path": "tags", "cast": "list", "op": "any_of", "value": ["a", "b, c"]},
    {"type": "event", "name": "Order Completed"},
    {"type": "event", "name": ["A", "B"], "window": {"last": "P7D"}},
    {"type": "event", "name": "A", "window": {"last": "PT24H", "align": "instant"}, "op": "lte", "value": 0},
    {
        "type": "event",
        "name": "A",
        "window": {"between": ["P90D", "P30D"]},
        "measure": {"fn": "count"},
        "op": "gte",
        "value": 1,
    },
    {"type": "event", "name": "A", "measure": {"fn": "sum", "property": "x"}, "op": "between", "value": [1, 2.5]},
    {
        "type": "event",
        "name": "A",
        "where": {"property": "x", "op": "gt", "value": 3},
        "window": {"calendar": "this_week"},
    },
    {"type": "event", "name": "A", "where": {"type": "any", "of": [{"property": "x", "op": "eq", "value": "1"}]}},
    {"type": "event", "name": "A", "where": {"type": "not", "of": {"property": "x", "op": "exists"}}},
    {"type": "segment", "key": "vip", "op": "not_in"},
    {"type": "segment", "key": "vip", "op": "entered", "window": {"last": "P7D"}},
    {"type": "consent", "purpose": "marketing", "channel": "email", "status": ["granted", "pending"]},
    {"type": "identity", "namespace": "email", "op": "verified"},
    {"type": "sample", "percent": 10, "salt": "s", "offset": 0},
    {
        "type": "sequence",
        "window": {"last": "P7D"},
        "steps": [{"name": "A"}, {"name": "B", "occurs": False, "within": "PT24H"}],
    },
    {
        "type": "sequence",
        "steps": [
            {"name": "A", "where": {"property": "x", "op": "gt", "value": 1}},
            {"name": ["B", "C"], "within": "PT2H", "same": ["product_id"]},
            {"name": "D", "where": {"property": "y", "op": "eq", "value": {"ref": "step:0.x"}}},
        ],
    },
    {"type": "trait", "path": "a", "op": "gte", "value": {"ref": "trait:b.c"}},
    {"type": "trait", "path": "birthday", "cast": "date", "op": "anniversary"},
    {"type": "trait", "path": "seen", "op": "between", "value": [{"ago": "P1Y2M"}, {"ago": "P1D"}]},
    {"type": "trait_held", "path": "plan", "op": "eq", "value": "pro", "for": "P30D"},
    {
        "type": "event_pick",
        "pick": "last",
        "name": "A",
        "window": {"last": "P30D", "align": "day"},
        "has": {"type": "all", "of": [{"property": "x", "op": "exists"}, {"property": "y", "op": "eq", "value": 2}]},
    },
    {"type": "lifecycle", "name": ["A", "B"], "state": "regular", "period": "P7D", "at_least": 2, "of_last": 4},
    {"type": "segment", "key": "vip", "op": "held", "for": "P30D"},
    {"type": "list", "key": "staff"},
    {"type": "rfm", "r": [4, 5], "m": [1]},
    {"type": "geo", "path": "home", "near": [48.1, 11.5], "km": 25},
    {"type": "everyone"},
    {"type": "score", "model": "churn", "op": "gte", "value": 0.9},
    {"type": "not", "of": {"type": "not", "of": {"type": "everyone"}}},
]


def test_writes_back_every_definition_that_it_reads_and_draws(product):
    nested = {"type": "all", "of": [{"type": "not", "of": {"type": "any", "of": LEAVES[:3]}}, *LEAVES]}
    with chromium(product) as page:
        sign_in(page, "/segments/new")
        for node in [*LEAVES, *({"type": "not", "of": leaf} for leaf in LEAVES), nested]:
            script = "node => SegmentDefinition.write(SegmentDefinition.read(node))"
            assert page.evaluate(script, node) == node
        # Drawn as rows, they are still the same: a field that is only shown writes nothing.
        page.evaluate(f"node => {BUILDER}.take({{ version: 1, timezone: 'UTC', match: node }})", nested)
        expect(page.locator(".condition.is-leaf.of-people")).to_have_count(3 + len(LEAVES))
        assert json.loads(page.evaluate(f"() => JSON.stringify({BUILDER}.definition().match)")) == nested


BUILDER = "Alpine.$data(document.querySelector('.builder'))"


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def reach(page: Page, wanted: Locator, *, key: str = "Tab", most: int = 80) -> None:
    """Press a key until something has the focus; the keyboard alone has to lead there."""
    for _ in range(most):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {wanted}")


def choose(page: Page, field: Locator, letters: str, *, key: str = "Tab") -> None:
    """Choose in a select by typing the beginning of the option."""
    reach(page, field, key=key)
    page.keyboard.type(letters)


def write(page: Page, field: Locator, text: str) -> None:
    reach(page, field)
    press(page, "Control+A")
    page.keyboard.type(text)


def add_condition(page: Page, kind: str) -> None:
    reach(page, page.get_by_role("group", name="Add a condition").get_by_role("button", name=kind, exact=True))
    press(page, "Enter")


def let_kim_buy(product, tag: str) -> None:
    """Let somebody order 3 times for 200 each, and agree to mail."""
    key, kim = new_key(product), f"kim-{tag}"
    purpose = f"mail-{tag}"
    call(product, "POST", "/api/v1/purposes", {"key": purpose, "name": f"Mail {tag}", "channels": ["email"]}, key=key)
    _, write_key = new_source(product)
    bought = {"type": "track", "userId": kim, "event": f"Bought {tag}", "properties": {"revenue": 200}}
    traits = {"name": f"Kim {tag}", "email": f"{tag}@kim.example"}
    post(
        product,
        "/v1/batch",
        {"batch": [{"type": "identify", "userId": kim, "traits": traits}, *[bought] * 3]},
        key=write_key,
    )
    known = f"/api/v1/profiles?identifier=user_id:{kim}"
    wait_for(lambda: call(product, "GET", known, key=key)["results"], seconds=20)
    granted = {"purpose": purpose, "channel": "email", "state": "granted"}
    call(product, "POST", "/api/v1/consents", {"identifier": {"type": "user_id", "value": kim}, **granted}, key=key)


def build_regulars(page: Page, tag: str) -> None:
    """Ordered at least 3 times in 90 days, spent over 500, nothing refunded in 30 days, marketing e-mail granted."""
    rows = page.locator(".condition.is-leaf.of-people")
    add_condition(page, "Event")
    expect(rows.nth(0).get_by_label("Name of the event")).to_be_focused()
    page.keyboard.type(f"Bought {tag}")
    write(page, rows.nth(0).get_by_label("How much"), "3")
    write(page, rows.nth(0).get_by_label("How long ago it begins"), "90")

    add_condition(page, "Event")
    expect(rows.nth(1).get_by_label("Name of the event")).to_be_focused()
    page.keyboard.type(f"Bought {tag}")
    choose(page, rows.nth(1).get_by_label("What is counted"), "total")
    reach(page, rows.nth(1).get_by_label("Property that is measured"))
    # The property is offered, because the events have it: taken with the arrow key.
    expect(page.get_by_role("option", name="revenue")).to_be_visible()
    press(page, "ArrowDown", "Enter")
    expect(rows.nth(1).get_by_label("Property that is measured")).to_have_value("revenue")
    choose(page, rows.nth(1).get_by_label("Compared how"), "more")
    write(page, rows.nth(1).get_by_label("How much"), "500")
    write(page, rows.nth(1).get_by_label("How long ago it begins"), "90")

    add_condition(page, "Event")
    expect(rows.nth(2).get_by_label("Name of the event")).to_be_focused()
    page.keyboard.type("Order Refunded")
    choose(page, rows.nth(2).get_by_label("Holds or not"), "and not", key="Shift+Tab")

    add_condition(page, "Consent")
    choose(page, rows.nth(3).get_by_label("Purpose"), f"Mail {tag}")
    choose(page, rows.nth(3).get_by_label("Channel"), "email")


def move_into_a_group_and_out(page: Page, row: Locator) -> None:
    """Move a row up, into a group of its own, and out again, with the arrow keys on its handle."""
    handle = page.locator(f"#{row.get_attribute('id')} .handle")
    reach(page, handle, key="Shift+Tab")
    groups = page.get_by_role("group", name="Group 3")
    for key, count in (("ArrowUp", 0), ("ArrowRight", 1), ("ArrowLeft", 0)):
        press(page, key)
        expect(groups).to_have_count(count)
        # The focus goes with the row, so that the next key moves it on.
        expect(handle).to_be_focused()


def test_builds_the_regulars_by_keyboard_alone(product):
    tag = uuid.uuid4().hex[:8]
    let_kim_buy(product, tag)
    with chromium(product, viewport={"width": 1280, "height": 900}) as page:
        sign_in(page, "/segments/new")
        press(page, "Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        press(page, "Enter")
        write(page, page.get_by_label("Name", exact=True), f"Regulars {tag}")
        build_regulars(page, tag)
        rows = page.locator(".condition.is-leaf.of-people")
        move_into_a_group_and_out(page, rows.nth(3))

        expect(page.locator(".builder .figure")).to_have_text("1")
        expect(rows.nth(0).locator(".row-words")).to_contain_text("left after this")
        expect(page.get_by_role("list", name="Ten of them")).to_contain_text(f"Kim {tag}")
        sentence = page.locator("#sentence").inner_text()
        for part in ("at least 3 times in the last 90 days", "total revenue of more than 500", "is granted"):
            assert part in sentence
        reach(page, page.get_by_role("button", name="Watch Kim"))
        press(page, "Enter")
        expect(rows.nth(0).locator(".mark.is-yes")).to_contain_text(f"Kim {tag}")
        reach(page, page.get_by_role("button", name="Save and make live"), key="Shift+Tab")
        press(page, "Enter")
        page.wait_for_url(f"**/segments/regulars-{tag}")

        expect(page.get_by_role("region", name="Members", exact=True).first).to_contain_text(f"Kim {tag}")
        reach(page, page.get_by_role("link", name="All entries and exits"))
        press(page, "Enter")
        page.wait_for_url("**/history")
        expect(page.locator("main")).to_contain_text("the definition changed")


def test_moves_rows_by_dragging_and_takes_back_json(product):
    with chromium(product, viewport={"width": 1280, "height": 900}) as page:
        sign_in(page, "/segments/new")
        definition = {
            "version": 1,
            "timezone": "UTC",
            "match": {"type": "all", "of": [{"type": "any", "of": [LEAVES[4]]}, LEAVES[3], LEAVES[8]]},
        }
        page.get_by_role("button", name="JSON").click()
        page.get_by_label("Definition in segment/v1").fill(json.dumps({"name": "Imported", "definition": definition}))
        page.get_by_role("button", name="Conditions").click()
        rows = page.locator(".condition.is-leaf.of-people")
        expect(rows).to_have_count(3)
        # What has not moved when the figures are there does not move below a hand that drags either.
        expect(rows.nth(0).locator(".row-words")).to_contain_text("without this")
        rows.nth(2).get_by_role("button", name="Move", exact=True).drag_to(rows.nth(0).locator(".sentence"))
        found = page.evaluate(f"() => {BUILDER}.definition().match")
        # Dropped on the only row of the group: it is in the group now.
        assert [one["type"] for one in found["of"]] == ["any", "trait"]
        assert {one["type"] for one in found["of"][0]["of"]} == {"trait", "event"}
        rows.nth(0).get_by_label("Move or copy this condition").click()
        rows.nth(0).get_by_role("button", name="Take out of its group").click()
        assert len(page.evaluate(f"() => {BUILDER}.definition().match.of")) == 3


def test_keeps_rows_where_they_are_while_figures_come(product):
    with chromium(product, viewport={"width": 1280, "height": 900}) as page:
        held: list[Route] = []
        sign_in(page, "/segments/new")
        definition = {"type": "all", "of": [{"type": "any", "of": [LEAVES[4]]}, LEAVES[3], LEAVES[20]]}
        page.wait_for_load_state("networkidle")
        page.route(PREVIEW, lambda route: held.append(route))  # noqa: PLW0108 - it keeps an attribute on what it calls
        with page.expect_request(PREVIEW):
            page.evaluate(f"node => {BUILDER}.take({{ version: 1, timezone: 'UTC', match: node }})", definition)
        rows = page.locator(".condition")
        expect(page.locator(".condition.is-leaf.of-people")).to_have_count(3)
        before = [row.bounding_box() for row in rows.all()]
        for route in held:
            route.continue_()
        expect(page.locator(".condition.is-leaf.of-people .row-words").last).to_contain_text("without this")
        assert [row.bounding_box() for row in rows.all()] == before


@pytest.mark.parametrize("size", [(390, 800), (320, 256)], ids=["telephone", "magnified four times"])
def test_fits_whatever_the_size(product, size: tuple[int, int]):
    """At 400 % a window of 1280 by 1024 has 320 by 256 points left (WCAG 1.4.10)."""
    width, height = size
    with chromium(product, viewport={"width": width, "height": height}) as page:
        sign_in(page, "/segments/new?template=at-risk")
        page.wait_for_load_state("networkidle")
        page.evaluate(
            f"node => {BUILDER}.take({{ version: 1, timezone: 'UTC', match: node }})", {"type": "all", "of": LEAVES}
        )
        expect(page.locator(".condition.is-leaf.of-people")).to_have_count(len(LEAVES))
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_is_accessible_with_rows_of_every_kind_and_its_lists_open(product):
    with chromium(product, bypass_csp=True) as page:
        sign_in(page, "/segments/new")
        page.evaluate(
            f"node => {BUILDER}.take({{ version: 1, timezone: 'UTC', match: node }})", {"type": "all", "of": LEAVES}
        )
        page.get_by_label("Name of the trait").first.focus()
        page.wait_for_load_state("networkidle")
        faults = accessibility_faults(page)
        page.locator(".condition .menu > summary").first.click()
        faults += accessibility_faults(page)
    assert faults == []
