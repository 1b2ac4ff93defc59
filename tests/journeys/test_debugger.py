"""The debugger in the browser: messages as they arrive, one step by step, sent again, and out of the quarantine."""

import re
import shutil
import subprocess

import pytest
from playwright.sync_api import expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in
from tests.journeys.calling import call, counts, new_key, new_source, post, wait_for


def event(name: str, number: int, **more) -> dict:
    return {"type": "track", "event": name, "userId": "dora", "messageId": f"{name}-{number}", **more}


def test_shows_messages_as_they_arrive_pauses_and_keeps_its_filter_in_the_address(product):
    source, write_key = new_source(product)
    with chromium(product) as page:
        sign_in(page, f"/sources/{source}/debugger")
        expect(page.get_by_role("heading", name="This source has sent nothing yet")).to_be_visible()
        rows = page.locator("#tail tbody tr")
        post(product, "/v1/track", event("Viewed", 1), key=write_key)
        expect(rows).to_have_count(1, timeout=10_000)
        assert accessibility_faults(page) == []

        page.get_by_role("link", name="Pause").click()
        expect(page).to_have_url(re.compile("paused=1"))
        post(product, "/v1/track", event("Bought", 1), key=write_key)
        wait_for(lambda: counts(product, source, new_key(product))["accepted"] == 2)
        # Nothing asks for rows any more.
        assert page.locator("#tail").get_attribute("hx-get") is None
        expect(rows).to_have_count(1)
        page.get_by_role("link", name="Go on").click()
        expect(rows).to_have_count(2)

        page.get_by_label("Event", exact=True).fill("Bought")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(re.compile("event=Bought"))
        expect(rows).to_have_count(1)
        for number, name in ((2, "Viewed"), (2, "Bought")):
            post(product, "/v1/track", event(name, number), key=write_key)
        expect(rows).to_have_count(2, timeout=10_000)
        expect(rows.filter(has_text="Viewed")).to_have_count(0)
        # A colleague who gets the address sees the same.
        page.goto(page.url)
        expect(page.get_by_label("Event", exact=True)).to_have_value("Bought")
        expect(rows).to_have_count(2)


def test_follows_one_message_and_copies_the_command_that_sends_it_again(product):
    if shutil.which("curl") is None:
        pytest.skip("CURL IS MISSING, so the copied command was not tried. Install it: apt-get install curl")
    source, write_key = new_source(product)
    post(product, "/v1/track", event("Bought", 1, properties={"note": "it's"}), key=write_key)
    with chromium(product, permissions=["clipboard-read", "clipboard-write"]) as page:
        sign_in(page, f"/sources/{source}/debugger")
        page.locator("#tail tbody a").first.click(timeout=10_000)
        steps = page.locator("ol.steps > li")
        expect(page.get_by_role("heading", name="Step by step")).to_be_visible()
        assert [one.get_attribute("id") for one in steps.all()] == [
            f"step-{name}" for name in ("raw", "transformations", "plan", "read", "consent", "identity", "segments")
        ]
        expect(page.locator("#step-raw")).to_contain_text("it's")
        assert accessibility_faults(page) == []
        page.get_by_role("button", name="Copy").click()
        page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('curl')")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert write_key not in copied
        done = subprocess.run(
            ["sh", "-c", copied.replace("WRITE_KEY", write_key)], capture_output=True, text=True, check=True
        )
        assert '"success": true' in done.stdout
        wait_for(lambda: counts(product, source, new_key(product))["duplicate"] == 1)
        page.reload()
        expect(page.locator("dl.facts").first).to_contain_text(re.compile(r"Times received\s*2"))


def test_takes_messages_out_of_the_quarantine_once_the_fault_is_mended(product):
    source, write_key = new_source(product)
    key = new_key(product)
    large = [event("Large", number, properties={"text": "x" * 40_000}) for number in range(3)]
    post(product, "/v1/batch", {"batch": large}, key=write_key)
    wait_for(lambda: counts(product, source, key)["quarantined"] == 3)
    with chromium(product) as page:
        sign_in(page, f"/quarantine?source={source}")
        page.locator("table a.link").first.click()
        page.get_by_role("button", name="Process it again").click()
        expect(page.get_by_text("It still has a fault")).to_be_visible()

        call(product, "PATCH", f"/api/v1/sources/{source}", {"max_event_bytes": 65_536}, key=key)
        page.get_by_role("button", name="Process it again").click()
        expect(page.get_by_text("It was processed again.")).to_be_visible()
        assert counts(product, source, key)["quarantined"] == 2

        page.goto(f"/quarantine?source={source}")
        page.get_by_role("button", name="Count all").click()
        page.get_by_role("button", name="Run").click(timeout=20_000)
        wait_for(lambda: counts(product, source, key)["accepted"] == 3)
    assert counts(product, source, key)["quarantined"] == 0
