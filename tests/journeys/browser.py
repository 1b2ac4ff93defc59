"""A real browser on the running product: the system's Chromium, driven by Playwright."""

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, sync_playwright

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
LOOK = """(options) => axe.run(document, options).then(
    (found) => found.violations.flatMap((rule) => rule.nodes.map((node) => [rule.id, node.html])))"""
# Quiet for longer than htmx waits between an answer and the requests of what came with it (20 ms), and than any
# `delay` of ours (50 ms).
QUIET = """() => new Promise((done) => {
    let quiet = 0;
    const look = () => {
        quiet = document.querySelector(".htmx-request") ? 0 : quiet + 1;
        if (quiet > 5) done(); else setTimeout(look, 20);
    };
    look();
})"""
# Shorter than the time after which some acts ask for the password again (15 minutes).
SESSION_SECONDS = 300.0
# When somebody signed in by the form in a browser, and as whom it was known since.
_sessions: dict[Browser | None, tuple[float, list[Any]]] = {}
# What the shell itself does when the scheme is switched, without the time that colours take to fade.
DARKEN = """(dark) => {
    const root = document.documentElement;
    root.classList.toggle("dark", dark);
    for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
}"""


@contextmanager
def chromium(product: Product, **options: Any) -> Generator[Page, None, None]:
    """Open a page of the product as somebody new; what it writes to its console as an error fails the test."""
    said: list[str] = []
    context = _browser_of(product).new_context(**{"base_url": product.base_url, **options})
    try:
        page = context.new_page()
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
    finally:
        context.close()
    # Answers such as 404 and 400 are looked at by the tests; what is left are faults of scripts and of the policy.
    assert [line for line in said if not line.startswith("Failed to load resource")] == []


def _browser_of(product: Product) -> Browser:
    """Return the one browser that serves all journeys; it ends with the product."""
    if product.browser is None:
        path = shutil.which("chromium")
        if path is None:
            pytest.skip("CHROMIUM IS MISSING, so no page was tried. Install it: apt-get install chromium")
        playwright = sync_playwright().start()
        product.before_stop.callback(playwright.stop)
        product.browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        product.before_stop.callback(product.browser.close)
    return product.browser


def sign_in(page: Page, to: str = "/") -> None:
    """Be signed in as the first administrator, by the form if nobody was for a while."""
    browser = page.context.browser
    signed_in_at, cookies = _sessions.get(browser, (0.0, []))
    if cookies and time.monotonic() - signed_in_at < SESSION_SECONDS:
        page.context.add_cookies(cookies)
        page.goto(to)
        return
    page.goto(f"/admin/login/?next={to}")
    page.fill("input[name=username]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("#login-form [type=submit]")
    page.wait_for_url(f"**{to}")
    _sessions[browser] = (time.monotonic(), page.context.cookies())


def settle(page: Page) -> None:
    """Wait until nothing is being fetched into the page any more, what its parts fetch in turn included."""
    page.evaluate(QUIET)


def accessibility_faults(page: Page, *, contrast_only: bool = False) -> list[str]:
    """Return what axe finds against WCAG 2.2, levels A and AA; or only of contrast, where nothing else differs."""
    rules = {"type": "rule", "values": ["color-contrast"]} if contrast_only else {"type": "tag", "values": WCAG}
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(LOOK, {"runOnly": rules, "resultTypes": ["violations"]})
    return [f"{page.url} {rule}: {html[:120]}" for rule, html in found]


def accessibility_faults_in_both_schemes(page: Page) -> list[str]:
    """Return what axe finds on a page of the shell as it is, in light, and then of contrast in dark."""
    faults = accessibility_faults(page)
    page.evaluate(DARKEN, True)
    faults += [f"dark {fault}" for fault in accessibility_faults(page, contrast_only=True)]
    page.evaluate(DARKEN, False)
    return faults
