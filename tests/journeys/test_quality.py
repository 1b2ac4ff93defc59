"""Somebody looks after a source: the inventory, its quality, and from a number to a message, with the keyboard too."""

from playwright.sync_api import expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in
from tests.journeys.calling import new_source, post


def order(number: int, **properties) -> dict:
    return {"type": "track", "event": "Order Completed", "userId": f"q-{number}", "properties": properties}


def test_leads_from_the_inventory_to_the_message_that_lowers_the_score(product):
    name, write_key = new_source(product)
    batch = [order(number, total=number, currency="EUR") for number in range(8)]
    post(
        product,
        "/v1/batch",
        {"batch": [*batch, order(8, total="eight", currency="EUR"), order(9, total=9)]},
        key=write_key,
    )
    with chromium(product, viewport={"width": 1280, "height": 900}) as page:
        sign_in(page, f"/inventory?q={name}")
        page.get_by_role("link", name=name).first.click()
        page.get_by_label("Owner").fill("Web team")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("link", name="Quality", exact=True).click()
        address = page.url
        expect(
            page.get_by_role("heading", name="Nothing was measured in this time").or_(
                page.get_by_role("heading", name="Score", exact=True)
            )
        ).to_be_visible()
        for _ in range(20):
            page.get_by_role("button", name="Measure now").click()
            page.wait_for_timeout(1_000)
            page.goto(address)
            if page.get_by_role("row", name="currency").count():
                break
        assert accessibility_faults(page) == []
        row = page.get_by_role("row", name="total")
        row.get_by_role("link").first.press("Enter")
        expect(page.get_by_role("heading", name="is of an unusual kind")).to_be_visible()
        assert accessibility_faults(page) == []
        page.locator("tbody th a").first.click()
        expect(page.get_by_text("eight").first).to_be_visible()
        page.goto(f"{address}/rules")
        page.get_by_label("Event", exact=True).fill("Order Completed")
        page.get_by_label("Field", exact=True).fill("currency")
        page.get_by_label("Allowed values").fill("CHF")
        page.get_by_role("button", name="Save the rule").click()
        expect(page.get_by_role("row", name="currency of Order Completed")).to_be_visible()
        assert accessibility_faults(page) == []
        page.set_viewport_size({"width": 390, "height": 800})
        for path in (address, f"{address}/rules", f"/inventory?q={name}"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
            assert accessibility_faults(page) == []
