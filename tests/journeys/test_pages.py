"""What a newcomer does in the browser, from the first sign-in to an audience and an erasure."""

import re
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.browser import accessibility_faults_in_both_schemes, chromium, settle, sign_in
from tests.journeys.calling import call, new_key, new_source, post, wait_for

SECONDS_TO_ENTER = 2.0


def person(tag: str) -> dict[str, str]:
    return {"userId": f"user-{tag}", "email": f"{tag}@example.org", "name": f"Nora {tag.capitalize()}"}


def order(who: dict[str, str], **properties) -> dict:
    return {"type": "track", "userId": who["userId"], "event": "Order Completed", "properties": properties}


def buy(product, who: dict[str, str], write_key: str, times: int = 1) -> None:
    traits = {"email": who["email"], "name": who["name"]}
    batch = [{"type": "identify", "userId": who["userId"], "traits": traits}]
    batch += [order(who, revenue=200, order_id=f"{who['userId']}-{number}") for number in range(times)]
    post(product, "/v1/batch", {"batch": batch}, key=write_key)


def find(page: Page, text: str) -> None:
    """Find a customer in the browser, as soon as the message has been processed."""
    deadline = time.monotonic() + 20
    while True:
        page.goto("/profiles")
        page.get_by_label("Find a customer").fill(text)
        page.get_by_role("button", name="Find").click()
        page.wait_for_load_state()
        if re.search(r"/profiles/[0-9a-f-]{36}$", page.url):
            return
        assert time.monotonic() < deadline, f"not found; at {page.url}"


def add(page: Page, kind: str) -> None:
    page.get_by_role("group", name="Add a condition").get_by_role("button", name=kind).click()


def build_buyers(page: Page, name: str, purpose: str) -> None:
    """Build: ordered at least 3 times in 90 days, spent over 500, nothing refunded in 30 days, marketing granted."""
    page.goto("/segments/new")
    page.get_by_label("Name", exact=True).fill(name)
    rows = page.locator(".condition.is-leaf")
    add(page, "Event")
    rows.nth(0).get_by_label("Name of the event").fill("Order Completed")
    rows.nth(0).get_by_label("How much").fill("3")
    rows.nth(0).get_by_label("How long ago it begins").fill("90")
    add(page, "Event")
    rows.nth(1).get_by_label("Name of the event").fill("Order Completed")
    rows.nth(1).get_by_label("What is counted").select_option("sum")
    rows.nth(1).get_by_label("Property that is measured").fill("revenue")
    rows.nth(1).get_by_label("Compared how").select_option("gt")
    rows.nth(1).get_by_label("How much").fill("500")
    rows.nth(1).get_by_label("How long ago it begins").fill("90")
    add(page, "Event")
    rows.nth(2).get_by_label("Name of the event").fill("Order Refunded")
    rows.nth(2).get_by_label("Holds or not").select_option("not")
    add(page, "Consent")
    rows.nth(3).get_by_label("Purpose").select_option(purpose)
    rows.nth(3).get_by_label("Channel").select_option("email")


def decide(page: Page, profile: str, purpose: str, state: str) -> None:
    """Record a decision by e-mail on a profile's page."""
    page.goto(profile)
    page.get_by_text("Record a decision").click()
    page.get_by_label("Purpose", exact=True).select_option(purpose)
    page.get_by_label("Channel (empty: all)").fill("email")
    page.get_by_label("Decision", exact=True).select_option(state)
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("The decision is recorded.")).to_be_visible()


def erase(page: Page, profile: str) -> None:
    """Open an erasure, look at what would go, approve, and wait for nothing to be left."""
    page.goto(profile)
    page.get_by_role("link", name="Open a privacy request").click()
    page.get_by_role("button", name="Open the request").click()
    expect(page.get_by_role("row", name="All together")).to_be_visible()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Approve and carry out").click()
    expect(page.get_by_text("0 left.")).to_be_visible(timeout=60_000)


def _entered_at(product, segment: str, profile_id: str) -> datetime:
    changes = call(product, "GET", f"/api/v1/segments/{segment}/changes", key=new_key(product))["results"]
    (at,) = (one["at"] for one in changes if (one["kind"], one["profile_id"]) == ("entered", profile_id))
    return datetime.fromisoformat(at)


def test_leads_from_a_first_event_to_an_audience_and_to_an_erasure(product):
    tag = uuid.uuid4().hex[:8]
    purpose = f"news-{tag}"
    setting = {"key": purpose, "name": f"News {tag}", "channels": ["email"]}
    call(product, "POST", "/api/v1/purposes", setting, key=new_key(product))
    nora, omar = person(f"nora-{tag}"), person(f"omar-{tag}")
    with chromium(product, viewport={"width": 1280, "height": 900}) as page:
        sign_in(page, "/sources/new")
        page.get_by_label("Key").fill(f"shop-{tag}")
        page.get_by_role("button", name="Make the source").click()
        page.wait_for_url(f"**/sources/shop-{tag}")
        write_key = page.locator("#write-key").inner_text()

        buy(product, nora, write_key, times=3)
        buy(product, omar, write_key, times=2)
        find(page, nora["email"])
        expect(page.get_by_role("heading", name=nora["name"]).first).to_be_visible()
        decide(page, page.url, purpose, "granted")
        find(page, omar["userId"])
        profile = page.url
        decide(page, profile, purpose, "granted")

        build_buyers(page, f"Good buyers {tag}", purpose)
        # Nora spent 3 times 200, which is over 500; Omar ordered only twice.
        expect(page.locator(".builder .figure")).to_have_text("1")
        expect(page.get_by_role("list", name="Ten of them")).to_contain_text(nora["name"])
        expect(page.locator("#sentence")).to_contain_text("at least 3 times in the last 90 days")
        page.get_by_text("The SQL").click()
        expect(page.locator("#sql")).to_contain_text("Order Completed")
        page.get_by_role("button", name="Save and make live").click()
        page.wait_for_url("**/segments/good-buyers-*")
        expect(page.get_by_role("table").first).to_contain_text(nora["name"])
        members = f"{page.url}/members"

        sent_at = datetime.now(UTC)
        post(product, "/v1/track", order(omar, revenue=200, order_id=f"third-{tag}"), key=write_key)
        wait_for(lambda: omar["name"] in page.goto(members).text(), seconds=20)
        # By the product's own record: how long a page takes to show it depends on what else runs beside the test.
        entered_at = _entered_at(product, members.rsplit("/", 2)[1], profile.rsplit("/", 1)[1])

        decide(page, profile, purpose, "withdrawn")
        wait_for(lambda: omar["name"] not in page.goto(members).text(), seconds=20)
        page.goto(members.replace("/members", "/history"))
        expect(page.locator("main")).to_contain_text("a consent decision")

        erase(page, profile)
        assert page.goto(profile).status == 404
        post(product, "/v1/track", order(omar, revenue=1, order_id=f"old-{tag}"), key=write_key)
        refused = f"/messages?source=shop-{tag}&outcome=suppressed"
        wait_for(lambda: "suppressed</span>" in page.goto(refused).text(), seconds=20)
    assert (entered_at - sent_at).total_seconds() <= SECONDS_TO_ENTER


def test_is_accessible_on_every_page_in_light_and_dark(product):
    tag = uuid.uuid4().hex[:8]
    key = new_key(product)
    name, write_key = new_source(product)
    who = person(f"axe-{tag}")
    buy(product, who, write_key)
    definition = {"version": 1, "timezone": "UTC", "match": {"type": "event", "name": "Order Completed"}}
    segment = f"axe-{tag}"
    call(
        product,
        "POST",
        "/api/v1/segments",
        {"key": segment, "name": segment, "definition": definition, "status": "live"},
        key=key,
    )
    with chromium(product, bypass_csp=True) as page:
        page.goto("/admin/login/")
        faults = accessibility_faults_in_both_schemes(page)
        sign_in(page)
        find(page, who["email"])
        profile = page.url.removeprefix(product.base_url)
        addresses = [
            "/",
            "/profiles",
            profile,
            "/merges",
            "/refusals",
            "/traits/rules",
            f"{profile}?trait=email",
            "/segments",
            "/segments/new",
            f"/segments/{segment}",
            f"/segments/{segment}/change",
            f"/segments/{segment}/versions",
            f"/segments/{segment}/duplicate",
            "/segments/templates",
            "/segments/new?template=cart-abandoners",
            f"/segments/compare?left={segment}&right={segment}&trait=email",
            f"/segments/{segment}/members",
            f"/segments/{segment}/explain/{profile.rpartition('/')[2]}",
            "/consent",
            "/consent/conflicts",
            "/notices",
            "/privacy-requests",
            f"/privacy-requests/new?profile={profile.rpartition('/')[2]}",
            "/suppressions",
            "/sources",
            f"/sources/{name}",
            f"/sources/{name}/transformations",
            f"/sources/{name}/plan",
            f"/sources/{name}/plan/discovered",
            f"/sources/{name}/cleaning",
            f"/sources/{name}/forwarding",
            "/sources/new",
            "/messages",
            "/quarantine",
            "/inbox",
            "/admin/core/user/",
            "/admin/core/auditentry/",
        ]
        for address in addresses:
            page.goto(address)
            settle(page)
            faults += accessibility_faults_in_both_schemes(page)
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_follows_the_scheme_of_the_system(product, scheme: str):
    with chromium(product, color_scheme=scheme) as page:
        page.goto("/admin/login/")
        expect(page.locator("html.dark")).to_have_count(int(scheme == "dark"))


def test_fits_a_telephone(product):
    with chromium(product, viewport={"width": 390, "height": 800}) as page:
        sign_in(page)
        for address in (
            "/",
            "/profiles",
            "/segments",
            "/segments/new?template=at-risk",
            "/consent",
            "/sources",
            "/messages",
            "/merges",
        ):
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
        page.get_by_role("button", name="Show or hide the menu").click()
        page.get_by_role("link", name="Quarantine").click()
        expect(page).to_have_url(re.compile("/quarantine$"))


def test_lets_an_invited_person_in_by_the_mail(product):
    tag = uuid.uuid4().hex[:8]
    email = f"mia-{tag}@house.example"
    outbox = product.data_dir / "outbox"
    with chromium(product) as page:
        sign_in(page)
        expect(page.locator("main")).to_contain_text(str(outbox))
        page.goto("/admin/core/invitation/add/")
        page.fill("input[name=email]", email)
        page.locator("select[name=role]").select_option("marketer")
        page.locator("[name=_save]").click()
        page.wait_for_url("**/admin/core/invitation/")
    link = ""

    def arrived() -> bool:
        nonlocal link
        link = find_link(outbox, email)
        return bool(link)

    wait_for(arrived, seconds=30)
    with chromium(product) as page:
        page.goto(link)
        page.get_by_label("Your name").fill("Mia")
        page.get_by_label("Password").fill("a long and quiet sentence")
        page.get_by_role("button", name="Join").click()
        page.fill("input[name=username]", email)
        page.fill("input[name=password]", "a long and quiet sentence")
        page.click("#login-form [type=submit]")
        page.wait_for_url(f"{product.base_url}/")
        expect(page.get_by_role("link", name="Segments").first).to_be_visible()
        expect(page.get_by_role("link", name="Privacy requests")).to_have_count(0)


def find_link(outbox: Path, email: str) -> str:
    """Return the link of the mail to an address, once it lies in the outbox folder."""
    for mail in outbox.glob("*") if outbox.exists() else ():
        text = mail.read_text(errors="replace")
        if email in text:
            found = re.search(r"https?://\S+/invitations/\S+", text)
            return found[0] if found else ""
    return ""
