"""A file through the browser: uploaded, mapped, tried, brought in by the worker, looked at, taken back."""

import re
import uuid
from pathlib import Path

from playwright.sync_api import expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in

ROWS = 40


def people(tag: str) -> str:
    lines = [f"{n},{tag}{n}@example.org,Nora {n},{20 + n},2026-01-{1 + n % 28:02}" for n in range(1, ROWS)]
    return "\n".join(["id;E-Mail;Name;Age;Since".replace(";", ","), *lines, f",{tag}x@example.org,Nobody,1,", ""])


def test_brings_a_file_in_and_takes_it_back(product, tmp_path: Path):
    tag = uuid.uuid4().hex[:8]
    path = tmp_path / f"crm-{tag}.csv"
    path.write_text(people(tag))
    with chromium(product) as page:
        sign_in(page, "/imports")
        assert accessibility_faults(page) == []
        page.get_by_label("File", exact=True).set_input_files(path)
        page.get_by_role("button", name="Upload and look at it").click()
        expect(page.get_by_label("Source", exact=True)).to_have_value(f"crm-{tag}")
        expect(page.get_by_label("What E-Mail becomes")).to_have_value("both:email")
        assert accessibility_faults(page) == []
        page.get_by_label("Name of the trait from Name").fill("name")
        page.get_by_role("button", name="Try it").click()
        expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
        expect(page.get_by_text("The row has no key.")).to_be_visible()
        assert accessibility_faults(page) == []
        page.get_by_role("button", name="Start the import").click()
        expect(page.get_by_text("done", exact=True)).to_be_visible(timeout=20_000)
        expect(page.locator(".tile", has_text="created").locator(".figure")).to_have_text(str(ROWS - 1))
        expect(page.get_by_role("cell", name=re.compile("Nobody"))).to_be_visible()
        assert accessibility_faults(page) == []
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_text("Take this import back").click()
        page.get_by_role("button", name=re.compile("Take back")).click()
        expect(page.get_by_text("taken back", exact=True)).to_be_visible(timeout=20_000)


def test_maps_on_a_telephone_in_the_dark(product, tmp_path: Path):
    path = tmp_path / "people.csv"
    path.write_text(people("dark"))
    with chromium(product, viewport={"width": 360, "height": 740}, color_scheme="dark") as page:
        sign_in(page, "/imports")
        page.get_by_label("File", exact=True).set_input_files(path)
        page.get_by_role("button", name="Upload and look at it").click()
        expect(page.get_by_role("heading", name="The columns")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert accessibility_faults(page, contrast_only=True) == []
        page.get_by_role("button", name="Drop the file").click()
        expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
