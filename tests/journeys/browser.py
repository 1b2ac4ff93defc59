"""A real browser on the running product: the system's Chromium, driven by Playwright."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tests.journeys.conftest import Product

EMAIL, PASSWORD = "ada@example.org", "correct-horse-battery-staple"
# It runs as root in CI, and the network that it would call home to is closed.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@contextmanager
def chromium(product: Product, **options: Any) -> Generator[Page, None, None]:
    """Open a page of the product; whatever the page writes to its console as an error fails the test."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("CHROMIUM IS MISSING, so no page was tried. Install it: apt-get install chromium")
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        context = browser.new_context(base_url=product.base_url, **options)
        page = context.new_page()
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
        browser.close()
    # Answers such as 404 and 400 are looked at by the tests; what is left are faults of scripts and of the policy.
    assert [line for line in said if not line.startswith("Failed to load resource")] == []


def sign_in(page: Page, to: str = "/") -> None:
    """Sign in as the first administrator."""
    page.goto(f"/admin/login/?next={to}")
    page.fill("input[name=username]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("#login-form [type=submit]")
    page.wait_for_url(f"**{to}")


def accessibility_faults(page: Page, *, contrast_only: bool = False) -> list[str]:
    """Return what axe finds against WCAG 2.2, levels A and AA; or only of contrast, where nothing else differs."""
    rules = {"type": "rule", "values": ["color-contrast"]} if contrast_only else {"type": "tag", "values": WCAG}
    found = Axe().run(page, options={"runOnly": rules}).response["violations"]
    return [f"{page.url} {fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]
