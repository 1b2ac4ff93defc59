"""Stewards teach a model by keys, look at what it learned, and decide what it found."""

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in

FIRST = ("Anna", "Bruno", "Carla", "David", "Elena", "Felix", "Greta", "Hugo")
LAST = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel")
ANSWERS = 30


def people(source: str) -> str:
    """Return 64 people, each of them twice, the second time with a letter wrong; rows 2n and 2n + 1 are one."""
    lines = []
    for number, (first, last) in enumerate((first, last) for first in FIRST for last in LAST):
        born = f"19{50 + number % 49}-{1 + number % 12:02}-{1 + number % 28:02}"
        lines.append(f"{2 * number},{first},{last},{born}")
        lines.append(f"{2 * number + 1},{first},{last[:-1]}x,{born if number % 3 else ''}")
    return "\n".join([f"id,first_{source},last_{source},born_{source}", *lines, ""])


@pytest.fixture
def source(product, tmp_path: Path) -> str:
    """A source whose people are brought in; answers its key, which is that of the model as well."""
    key = f"crm{uuid.uuid4().hex[:8]}"
    path = tmp_path / "people.csv"
    path.write_text(people(key))
    product.manage("create_source", key, "--kind", "server")
    traits = [part for name in traits_of(key) for part in ("--trait", f"{name}={name}")]
    product.manage("create_import", key, str(path), "--key", "id", *traits)
    return key


def traits_of(source: str) -> list[str]:
    return [f"{name}_{source}" for name in ("first", "last", "born")]


def describe_model(page: Page, source: str) -> None:
    """Fill in the form of a new model over the people of a source."""
    page.get_by_label("Key", exact=True).fill(source)
    comparisons = zip(traits_of(source), ("name", "name", "date"), strict=True)
    page.get_by_label("Traits, one a line").fill("\n".join(f"{name}: {kind}" for name, kind in comparisons))
    page.get_by_label(source, exact=True).check()


def answer(page: Page, source: str, said: int) -> None:
    """Press the key that is right for the pair that is shown, and wait until it counts."""
    for _ in range(60):
        records = page.locator("table a.link", has_text=f"{source}/")
        if records.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    one, other = (int(text.rpartition("/")[2]) // 2 for text in records.all_inner_texts())
    page.keyboard.press("s" if one == other else "d")
    expect(page.locator(".lead")).to_contain_text(f"{said} answers")


def reload_until(page: Page, text: str) -> None:
    for _ in range(60):
        if page.get_by_text(text).count():
            return
        page.wait_for_timeout(500)
        page.reload()
    expect(page.get_by_text(text)).to_be_visible()


def test_leads_from_two_imports_to_decided_pairs(product, source):
    with chromium(product) as page:
        sign_in(page, "/matching")
        describe_model(page, source)
        assert accessibility_faults(page) == []
        page.get_by_role("button", name="Make it").click()
        page.get_by_role("link", name="Answer questions").click()

        answer(page, source, 1)
        page.keyboard.press("z")
        expect(page.locator(".lead")).to_contain_text("0 answers")
        for said in range(1, ANSWERS + 1):
            answer(page, source, said)
        assert accessibility_faults(page) == []

        page.goto(f"/matching/{source}")
        page.get_by_role("button", name="Train").click()
        reload_until(page, "in force")
        slider = page.get_by_role("slider", name="Threshold")
        slider.fill("0.8")
        expect(page.locator("#curve-rows tr.differs")).to_contain_text("0.80")
        page.get_by_role("button", name="Match, join nothing").click()
        reload_until(page, "Blocking of run")
        assert accessibility_faults(page) == []

        page.goto(f"/possible-duplicates?model={source}")
        page.locator("a[href^='/possible-duplicates/']").first.click()
        expect(page.get_by_role("heading", name="What speaks for it and against it")).to_be_visible()
        expect(page.get_by_text("before any field")).to_be_visible()
        assert accessibility_faults(page) == []
        page.keyboard.press("s")
        expect(page.get_by_text("They are one now; the merge can be undone.")).to_be_visible()

        page.goto(f"/possible-duplicates?model={source}")
        page.get_by_label("Model", exact=True).select_option(source)
        page.get_by_label("From a probability of").fill("0.2")
        page.get_by_label("Up to", exact=True).fill("0.9")
        page.get_by_role("button", name="Show them first").click()
        expect(page.get_by_text("Nothing was decided yet.")).to_be_visible()
        expect(page.get_by_text("with a probability from 0.2 to 0.9.")).to_be_visible()
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_role("button", name="Decide them").click()
        expect(page.get_by_text("pairs were decided: different.")).to_be_visible()


def test_begins_without_labels(product, source):
    with chromium(product) as page:
        sign_in(page, "/matching")
        describe_model(page, source)
        page.get_by_role("button", name="Make it").click()
        expect(page.get_by_text("Or begin without labels")).to_be_visible()
        page.get_by_role("button", name="Begin without labels").click()
        reload_until(page, "no labels (Splink)")
        assert accessibility_faults(page) == []
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

        page.goto(f"/possible-duplicates?model={source}")
        page.locator("a[href^='/possible-duplicates/']").first.click()
        expect(page.get_by_text("Splink scored this pair without labels")).to_be_visible()
        expect(page.get_by_text("before any field")).to_be_visible()
        assert accessibility_faults(page) == []
        page.keyboard.press("s")
        expect(page.get_by_text("They are one now; the merge can be undone.")).to_be_visible()
