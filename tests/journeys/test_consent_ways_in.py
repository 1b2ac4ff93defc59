"""Consent in a real browser: the banner on a shop's page, and the public pages, by keyboard and in four languages."""

import re
import threading
import urllib.error
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.browser import accessibility_faults, chromium, sign_in
from tests.journeys.calling import call, new_key, new_source, post, wait_for

LANGUAGES = ("en", "de", "fr", "es")
SHOP = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>Shop</title>
<script src="{base}/banner.js" data-key="{key}" data-consent-mode></script>
<script type="text/plain" data-cdp-purpose="{ads}">window.ran = (window.ran || 0) + 1;</script>
</head><body><main><h1>Shop</h1><a href="#" data-cdp-consent>Privacy settings</a></main></body></html>"""


@contextmanager
def shop(**values: str) -> Generator[str, None, None]:
    """Serve a page of another origin that carries the banner; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            language = self.path.rpartition("=")[2] if "=" in self.path else "en"
            body = SHOP.format(language=language, **values).encode() if self.path != "/favicon.ico" else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def asked(product) -> dict[str, str]:
    """Set up two purposes, a notice, a source with a banner, and a form."""
    tag = uuid.uuid4().hex[:8]
    found = {"ads": f"ads-{tag}", "news": f"news-{tag}", "form": f"form-{tag}"}
    found["api"] = new_key(product)
    for key, name, channels in ((found["ads"], "Advertising", []), (found["news"], "Newsletter", ["email", "sms"])):
        body = {"key": key, "name": f"{name} {tag}", "channels": channels}
        call(product, "POST", "/api/v1/purposes", body, key=found["api"])
    signals = {"consent_mode": ["ad_storage", "ad_user_data"], "gpc": True, "description": "Ads that fit."}
    call(product, "PATCH", f"/api/v1/purposes/{found['ads']}/signals", signals, key=found["api"])
    for language in LANGUAGES:
        notice = {"key": found["form"], "language": language, "text": f"What we do, in {language}."}
        call(product, "POST", "/api/v1/notices", notice, key=found["api"])
    found["source"], found["key"] = new_source(product, "browser")
    banner = {"purposes": [found["ads"]], "notice_key": found["form"], "policy_url": "https://shop.example/privacy"}
    call(product, "PUT", f"/api/v1/sources/{found['source']}/banner", banner, key=found["api"])
    form = {
        "key": found["form"],
        "name": "Sign up",
        "asks": [{"purpose": found["news"], "channel": "email"}],
        "notice_key": found["form"],
        "languages": list(LANGUAGES),
    }
    call(product, "POST", "/api/v1/consent-forms", form, key=found["api"])
    return found


def press_until(page: Page, name: str, *, limit: int = 30) -> None:
    """Go on by Tab until the control of this name has the focus, inside shadow roots, too."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { let e = document.activeElement; while (e && e.shadowRoot) e = e.shadowRoot.activeElement;"
            " return e ? (e.ariaLabel || e.textContent || e.value || '').trim() : ''; }"
        )
        if name in focused:
            return
    pytest.fail(f"{name!r} was not reached by keyboard")


def states(product, asked: dict[str, str], purpose: str) -> list[str]:
    found = call(product, "GET", f"/api/v1/consents?purpose={asked[purpose]}", key=asked["api"])["results"]
    return [one["state"] for one in reversed(found)]


def updates(page: Page) -> list[dict]:
    return page.evaluate("() => (window.dataLayer || []).filter((one) => one[0] === 'consent').map((one) => [...one])")


def assert_refusing_is_as_easy(page: Page) -> None:
    """Both buttons stand side by side, of one size and look."""
    refuse, accept = (page.get_by_role("button", name=name) for name in ("Refuse all", "Accept all"))
    boxes = [button.bounding_box() for button in (refuse, accept)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert (boxes[0]["width"], boxes[0]["height"]) == (boxes[1]["width"], boxes[1]["height"])
    style = "(e) => { const s = getComputedStyle(e); return [s.color, s.backgroundColor, s.fontSize, s.fontWeight]; }"
    assert refuse.evaluate(style) == accept.evaluate(style)


def test_the_banner_holds_scripts_back_until_somebody_agrees(product, asked):
    with (
        shop(base=product.base_url, key=asked["key"], ads=asked["ads"]) as address,
        chromium(product, viewport={"width": 1000, "height": 800}) as page,
    ):
        elsewhere: list[str] = []
        page.on("request", lambda one: elsewhere.append(one.url))
        page.goto(address)
        dialog = page.get_by_role("dialog", name="Your privacy")
        expect(dialog).to_be_visible()
        assert page.evaluate("() => window.ran") is None
        first = updates(page)[0]
        assert first[:2] == ["consent", "default"]
        assert first[2]["ad_storage"] == "denied"
        assert accessibility_faults(page) == []

        # Escape is no choice.
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert page.evaluate("() => cdpConsent.state()") is None
        page.reload()
        expect(dialog).to_be_visible()

        assert_refusing_is_as_easy(page)
        page.get_by_role("button", name="Refuse all").click()
        wait_for(lambda: states(product, asked, "ads") == ["denied"])
        assert page.evaluate("() => window.ran") is None
        page.reload()
        page.wait_for_load_state("networkidle")
        expect(dialog).to_be_hidden()
        assert page.evaluate("() => window.ran") is None

        # Opened again, by keyboard alone, and allowed.
        press_until(page, "Privacy settings")
        page.keyboard.press("Enter")
        expect(dialog).to_be_visible()
        press_until(page, "Choose")
        page.keyboard.press("Enter")
        page.keyboard.press("Space")
        assert accessibility_faults(page) == []
        press_until(page, "Save my choice")
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        assert page.evaluate("() => window.ran") == 1
        assert updates(page)[-1] == ["consent", "update", {"ad_storage": "granted", "ad_user_data": "granted"}]
        wait_for(lambda: states(product, asked, "ads") == ["denied", "granted"])
        page.reload()
        page.wait_for_function("() => window.ran === 1")

        # And withdrawn.
        page.get_by_role("link", name="Privacy settings").click()
        page.get_by_role("button", name="Refuse all").click()
        wait_for(lambda: states(product, asked, "ads") == ["denied", "granted", "withdrawn"])
        page.reload()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => window.ran") is None
        hosts = {url.split("/")[2] for url in elsewhere}
        assert hosts == {address.split("/")[2], product.base_url.split("/")[2]}


def test_the_banner_speaks_four_languages_and_heeds_the_browsers_own_wish(product, asked):
    with (
        shop(base=product.base_url, key=asked["key"], ads=asked["ads"]) as address,
        chromium(product, viewport={"width": 390, "height": 800}, color_scheme="dark") as page,
    ):
        names = {"en": "Refuse all", "de": "Alles ablehnen", "fr": "Tout refuser", "es": "Rechazar todo"}
        for language, name in names.items():
            page.goto(f"{address}?language={language}")
            expect(page.get_by_role("button", name=name)).to_be_visible()
            assert accessibility_faults(page) == []
        page.context.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"
        )
        page.goto(address)
        page.get_by_role("button", name="Accept all").click()
        assert page.evaluate("() => cdpConsent.state()") == {asked["ads"]: False}
        page.get_by_role("link", name="Privacy settings").click()
        page.get_by_role("button", name="Choose").click()
        expect(page.get_by_text("Your browser asks not to sell")).to_be_visible()


def addresses(product, asked: dict[str, str]) -> dict[str, str]:
    """Make a person and links for them; answers the public pages by name."""
    email = f"nora-{uuid.uuid4().hex[:8]}@example.org"
    post(product, "/v1/identify", {"userId": email, "traits": {"email": email}}, key=asked["key"])
    lookup = {"identifier": {"type": "email", "value": email}}
    wait_for(lambda: status_of(product, lookup, asked) == 200)
    made = {}
    for kind, more in (("preferences", {}), ("unsubscribe", {"asks": [{"purpose": asked["news"], "channel": "sms"}]})):
        body = {**lookup, "kind": kind, **more}
        made[kind] = call(product, "POST", "/api/v1/preference-links", body, key=asked["api"])["url"]
    return {"form": f"/forms/{asked['form']}", "gone": "/preferences/gone", **made}


def status_of(product, lookup: dict, asked: dict[str, str]) -> int:
    try:
        call(product, "POST", "/api/v1/profiles/lookup", lookup, key=asked["api"])
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def confirmation(product, email: str) -> str:
    """Wait for the mail to somebody and return the link in it."""
    found: list[str] = []

    def arrived() -> bool:
        for file in (product.data_dir / "outbox").glob("*"):
            mail = message_from_bytes(file.read_bytes(), policy=policy.default)
            if mail["To"] == email:
                found.extend(re.findall(r"http\S+/confirm/\S+", mail.get_content()))
        return bool(found)

    wait_for(arrived)
    return found[0]


def test_public_pages_are_accessible_in_each_language(product, asked):
    pages = addresses(product, asked)
    with chromium(product, viewport={"width": 390, "height": 800}) as page:
        for language in LANGUAGES:
            for address in pages.values():
                page.goto(f"{address}?language={language}")
                assert page.locator("html").get_attribute("lang") == language
                assert accessibility_faults(page) == []
        page.goto(pages["form"])
        page.fill("#identifier", "nora@example.org")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert accessibility_faults(page) == []


def test_public_pages_work_by_keyboard_alone(product, asked):
    """Sign up, confirm, look at the preferences, take the grant back, unsubscribe: without a mouse, from the top."""
    email = f"nora-{uuid.uuid4().hex[:8]}@example.org"
    with chromium(product, viewport={"width": 390, "height": 800}, color_scheme="dark") as page:
        page.goto(f"/forms/{asked['form']}")
        page.keyboard.press("Tab")
        page.keyboard.type(email)
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        press_until(page, "Send")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("We have received your choice.")
        assert accessibility_faults(page) == []

        page.goto(confirmation(product, email))
        assert accessibility_faults(page) == []
        press_until(page, "Yes, I agree")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Your agreement is confirmed.")

        who = {"identifier": {"type": "email", "value": email}}
        made = call(product, "POST", "/api/v1/preference-links", who, key=asked["api"])
        page.goto(made["url"])
        box = page.locator(f"input[type=checkbox][value='{asked['news']}:email']")
        expect(box).to_be_checked()
        while not box.evaluate("(box) => box === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        press_until(page, "Save")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Your choices are saved.")
        expect(box).not_to_be_checked()
        assert states(product, asked, "news") == ["pending", "granted", "withdrawn"]

        asks = {"kind": "unsubscribe", "asks": [{"purpose": asked["news"], "channel": "sms"}]}
        page.goto(call(product, "POST", "/api/v1/preference-links", {**who, **asks}, key=asked["api"])["url"])
        press_until(page, "Yes, stop it")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("This is stopped from now on.")
        assert accessibility_faults(page) == []


def test_an_officer_sets_up_a_form_a_banner_and_a_link(product, asked):
    tag = uuid.uuid4().hex[:8]
    with chromium(product, viewport={"width": 1280, "height": 900}) as page:
        sign_in(page, "/consent-forms")
        assert accessibility_faults(page) == []
        page.get_by_role("link", name="New form").click()
        page.get_by_label("Key").fill(f"own-{tag}")
        page.get_by_label("Name").first.fill("Own form")
        page.get_by_label("Asks for").fill(f"{asked['news']}:email")
        page.get_by_label("Notice").select_option(asked["form"])
        assert accessibility_faults(page) == []
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#form-url")).to_have_text(re.compile(f"/forms/own-{tag}$"))
        assert accessibility_faults(page) == []

        page.goto("/banners")
        assert accessibility_faults(page) == []
        page.goto(f"/banners/{asked['source']}")
        expect(page.locator("#snippet")).to_contain_text(asked["key"])
        assert accessibility_faults(page) == []
        page.get_by_role("link", name="German").click()
        page.get_by_role("button", name="Alles ablehnen").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert "cdp_consent" not in {one["name"] for one in page.context.cookies()}

        for path in ("/consent-imports", "/preference-links", f"/consent/purposes/{asked['ads']}/change"):
            page.goto(path)
            assert accessibility_faults(page) == []
