"""Coming in, in a real browser and by the keyboard alone: invitation, app, recovery codes, security key, sessions.

The security key is Chromium's own virtual one (the WebAuthn domain of the DevTools protocol).
"""

import base64
import hmac
import re
import struct
import time
import uuid
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in
from tests.journeys.calling import wait_for
from tests.journeys.test_pages import find_link

PASSWORD = "a long and quiet sentence"
OWN_ACCOUNT, OVERVIEW = re.compile(r"/account/$"), re.compile(r":\d+/$")
KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def reach(page: Page, control: Locator) -> None:
    """Go on by Tab until a control has the focus."""
    for _ in range(80):
        if control.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{control} was not reached by keyboard")


def press(page: Page, role: str, name: str) -> None:
    """Reach a button or link, and press it."""
    reach(page, page.get_by_role(role, name=name, exact=True).first)
    page.keyboard.press("Enter")


def type_into(page: Page, label: str, text: str) -> None:
    reach(page, page.get_by_label(label, exact=True).first)
    page.keyboard.type(text)


def code_of(secret: str) -> str:
    """Return what an authenticator app shows now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, "sha1").digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def invited(product, email: str) -> str:
    """Invite somebody; answers the path in the mail."""
    with chromium(product) as page:
        sign_in(page, "/admin/core/invitation/add/")
        page.fill("input[name=email]", email)
        page.locator("select[name=role]").select_option("marketer")
        page.locator("[name=_save]").click()
        page.wait_for_url("**/admin/core/invitation/")
    found: list[str] = []

    def arrived() -> bool:
        found[:] = [find_link(product.data_dir / "outbox", email)]
        return bool(found[0])

    wait_for(arrived, seconds=30)
    return re.sub(r"^https?://[^/]+", "", found[0])


@dataclass
class Visit:
    """Somebody at the keyboard, and what is wrong with the pages that they see."""

    page: Page
    email: str
    faults: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Hold the page against WCAG in light and dark colours."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            self.faults += accessibility_faults(self.page, contrast_only=scheme == "dark")

    def sign_in(self) -> None:
        """Give address and password in a browser that knows nothing."""
        page = self.page
        page.context.clear_cookies()
        page.goto("/admin/login/")
        reach(page, page.locator("input[name=username]"))
        page.keyboard.type(self.email)
        reach(page, page.locator("input[name=password]"))
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/admin/login/" not in url)


def join(visit: Visit, link: str) -> None:
    visit.page.goto(link)
    visit.look()
    type_into(visit.page, "Your name", "Kay")
    type_into(visit.page, "Password", PASSWORD)
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/admin/login/**")
    visit.look()
    visit.sign_in()


def add_app(visit: Visit) -> str:
    """Add an authenticator app; answers a recovery code, which come with the first factor."""
    page = visit.page
    page.goto("/account/")
    visit.look()
    press(page, "link", "Add an app")
    page.wait_for_url("**/account/app/add")
    visit.look()
    type_into(page, "Code", code_of(page.locator("main code").first.inner_text()))
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/recovery-codes")
    visit.look()
    code = page.get_by_role("list", name="Recovery codes").locator("code").first.inner_text()
    press(page, "link", "Make new codes")
    page.wait_for_url("**/account/recovery-codes/new")
    visit.look()
    return code


def add_key(visit: Visit) -> None:
    page = visit.page
    page.goto("/account/keys/add")
    visit.look()
    press(page, "button", "Add the key")
    page.wait_for_url(OWN_ACCOUNT)
    expect(page.get_by_role("rowheader", name=re.compile("Security key “"))).to_be_visible()
    visit.look()


def end_other_sessions(visit: Visit) -> None:
    page = visit.page
    page.goto("/account/confirm?next=/account/")
    visit.look()
    press(page, "button", "Use your security key")
    page.wait_for_url(OWN_ACCOUNT)
    press(page, "button", "Sign out everywhere else")
    expect(page.get_by_text("Signed out in 2 other browsers.")).to_be_visible()
    visit.look()


def ask_for_a_new_password(visit: Visit) -> None:
    page = visit.page
    page.context.clear_cookies()
    page.goto("/password/reset")
    visit.look()
    reach(page, page.locator("input[name=email]"))
    page.keyboard.type(visit.email)
    page.keyboard.press("Enter")
    page.wait_for_url("**/password/reset/sent")
    visit.look()


def test_comes_in_by_app_recovery_code_and_security_key_with_the_keyboard_alone(product):
    email = f"kay-{uuid.uuid4().hex[:8]}@house.example"
    link = invited(product, email)
    # A browser gives security keys to names only, not to addresses.
    at_name = product.base_url.replace("127.0.0.1", "localhost")
    with chromium(product, base_url=at_name, bypass_csp=True) as page:
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
        visit = Visit(page, email)
        join(visit, link)
        code = add_app(visit)
        add_key(visit)

        visit.sign_in()
        page.wait_for_url("**/account/second-factor")
        visit.look()
        press(page, "button", "Use your security key")
        page.wait_for_url(OVERVIEW)

        visit.sign_in()
        type_into(page, "Code of your authenticator app, or a recovery code", code)
        page.keyboard.press("Enter")
        page.wait_for_url(OVERVIEW)

        end_other_sessions(visit)
        ask_for_a_new_password(visit)
    assert visit.faults == []
