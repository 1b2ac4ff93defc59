"""Two systems side by side: what the product accepts arrives at the other one, by the product's own worker."""

import json

from playwright.sync_api import expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in
from tests.journeys.calling import new_source, post, wait_for
from tests.listening import OtherServer


def test_a_person_sets_forwarding_up_and_sees_it_arrive(product):
    name, key = new_source(product)
    address = f"/sources/{name}/forwarding"
    with OtherServer() as other, chromium(product, viewport={"width": 390, "height": 900}) as page:
        sign_in(page, address)
        expect(page.get_by_role("heading", name="Nothing is forwarded")).to_be_visible()
        faults = accessibility_faults(page)
        page.get_by_label("URL of the other system").fill(f"{other.url}/v1")
        page.get_by_label("Its write key").fill("old-key")
        page.get_by_label("Why data may go there").select_option("same_controller")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Send a test event").click()
        expect(page.get_by_text("The other system took the test event: 200")).to_be_visible()
        # Web processes remember for two seconds whether a source forwards.
        number = iter(range(1000))

        def arrives() -> bool:
            body = {"event": "Seen", "userId": "dana-1", "messageId": f"m-{next(number)}"}
            post(product, "/v1/track", body, key=key)
            return any(json.loads(one.body).get("event") == "Seen" for one in other.received)

        wait_for(arrives)
        expect(page.locator("#progress")).to_contain_text("Everything was sent", timeout=30_000)
        faults += accessibility_faults(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.emulate_media(color_scheme="dark")
        faults += accessibility_faults(page, contrast_only=True)
    assert faults == []
