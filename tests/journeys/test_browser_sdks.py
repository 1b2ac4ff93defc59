"""The browser SDKs, unmodified and bundled as a site does it, in a real Chromium on a page of another origin."""

import base64
import contextlib
import datetime
import json
import threading
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.journeys.browser import chromium
from tests.journeys.calling import call, counts, new_key, new_source, wait_for
from tests.journeys.conftest import Product
from tests.journeys.sdks import node_sdks
from tests.journeys.stumbling import LOSE, stumbling_way
from tests.journeys.test_server_sdks import events_of

pytestmark = pytest.mark.journey

SETTLE_SECONDS = 30
PAGE = '<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1><script src="/bundle.js"></script></html>'
# One script for each SDK: load, who it is, what happened, what was looked at.
LOAD = {
    "segment": "sdk = sdks.AnalyticsBrowser.load({writeKey: key, cdnURL: host})",
    "segment-batching": (
        "sdk = sdks.AnalyticsBrowser.load({writeKey: key, cdnURL: host}, {integrations: {'Segment.io': "
        "{deliveryStrategy: {strategy: 'batching', config: {size: 3, timeout: 500}}}}})"
    ),
    "customerio": "sdk = sdks.Customerio.load({writeKey: key, cdnURL: host + '/customerio'})",
    "rudder": "sdk = new sdks.RudderAnalytics(); sdk.load(key, host, {configUrl: host})",
    "rudder-beacon": (
        "sdk = new sdks.RudderAnalytics(); sdk.load(key, host, {configUrl: host, useBeacon: true, "
        "beaconQueueOptions: {flushQueueInterval: 500}})"
    ),
    "jitsu": "sdk = sdks.jitsuAnalytics({host, writeKey: key + ':secret'})",
}
SEND = """([key, host, person, load]) => {
  let sdk;
  eval(load);
  window.sdk = sdk;
  sdk.identify(person, {email: person + '@customer.example', plan: 'pro'});
  sdk.track('Product Viewed', {product_id: 'p-1', price: 39.9});
  sdk.page('Docs');
}"""
# Those that send again when the answer was a refusal. Jitsu's drops; Customer.io's looks at no status; and nobody reads
# the answer to a beacon.
RETRIES = ("segment", "segment-batching", "rudder")
WRONG_KEYS = ("segment", "rudder", "jitsu")
WRONG_CLOCK = "segment"


@dataclass(slots=True)
class Site:
    """A page with the bundle, on an origin of its own."""

    url: str
    folder: Path


class Quiet(SimpleHTTPRequestHandler):
    """Serves the folder and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site, None, None]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "bundle.js").symlink_to(node_sdks() / "bundle.js")
    (folder / "index.html").write_text(PAGE)
    (folder / "favicon.ico").write_bytes(b"")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_address[1]}", folder)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def key(product: Product) -> str:
    return new_key(product)


@pytest.fixture(scope="module")
def visit(product: Product, site: Site) -> Generator[Callable[[], contextlib.AbstractContextManager[Page]], None, None]:
    """Open the page as somebody new; one browser serves all of them."""
    with chromium(product) as first:
        browser = first.context.browser
        assert browser is not None

        @contextlib.contextmanager
        def somebody(path: str = "/") -> Generator[Page, None, None]:
            context = browser.new_context()
            page = context.new_page()
            page.goto(site.url + path)
            yield page
            context.close()

        yield somebody


def outcomes(product: Product, source: str, key: str) -> dict[str, int]:
    return {name: count for name, count in counts(product, source, key).items() if name != "source" and count}


@pytest.mark.parametrize("sdk", LOAD)
def test_takes_every_message_of_a_page(product: Product, key: str, visit, sdk: str):
    source, write_key = new_source(product, "browser")
    person = f"b-{uuid.uuid4().hex[:8]}"
    with visit() as page:
        page.evaluate(SEND, [write_key, product.base_url, person, LOAD[sdk]])
        wait_for(lambda: counts(product, source, key)["accepted"] == 3, seconds=SETTLE_SECONDS)
    assert outcomes(product, source, key) == {"received": 3, "accepted": 3}
    events = events_of(product, person, key)
    assert events["track"]["name"] == "Product Viewed"
    assert events["track"]["properties"].items() >= {"product_id": "p-1", "price": 39.9}.items()
    assert events["page"]["context"]["page"]["path"] == "/"
    # Of the browser itself, filled in where the SDK leaves it out.
    assert "Chrome" in events["track"]["context"]["userAgent"]
    assert events["track"]["context"]["ip"] == "127.0.0.0"
    found = call(
        product, "POST", "/api/v1/profiles/lookup",
        {"identifier": {"type": "email", "value": f"{person}@customer.example"}}, key=key,
    )  # fmt: skip
    assert found["traits"]["plan"]["value"] == "pro"
    assert {"anonymous_id", "user_id"} <= {one["type"] for one in found["identifiers"]}


@pytest.mark.parametrize("sdk", RETRIES)
def test_every_message_arrives_once_when_the_way_stumbles(product: Product, key: str, visit, sdk: str):
    source, write_key = new_source(product, "browser")
    person = f"b-{uuid.uuid4().hex[:8]}"
    with stumbling_way(product.base_url, 429, LOSE) as way, visit() as page:
        # The address in the settings is that of the host that was asked: the way.
        page.evaluate(SEND, [write_key, way.url, person, LOAD[sdk]])
        wait_for(lambda: counts(product, source, key)["accepted"] == 3, seconds=SETTLE_SECONDS)
        assert way.stumbles == []
        wait_for(lambda: counts(product, source, key)["duplicate"] >= 1, seconds=SETTLE_SECONDS)
    assert set(events_of(product, person, key)) == {"identify", "track", "page"}


@pytest.mark.parametrize("sdk", WRONG_KEYS)
def test_a_page_with_a_wrong_key_is_counted(product: Product, key: str, visit, sdk: str):
    def unattributed() -> int:
        return call(product, "GET", "/api/v1/ingestion/status", key=key)["unattributed"]

    before = unattributed()
    with visit() as page:
        page.evaluate(SEND, ["wrong-key", product.base_url, "nobody", LOAD[sdk]])
        wait_for(lambda: unattributed() > before, seconds=SETTLE_SECONDS)


CONSENT = """([key, host, person]) => {
  let changed;
  window.categories = {marketing: true, analytics: false};
  const wrap = sdks.createWrapper({
    shouldLoadWrapper: async () => {},
    shouldLoadSegment: async (ctx) => ctx.load({consentModel: 'opt-in'}),
    getCategories: () => window.categories,
    registerOnConsentChanged: (set) => { changed = set; },
  });
  const sdk = new sdks.AnalyticsBrowser();
  wrap(sdk).load({writeKey: key, cdnURL: host});
  sdk.identify(person, {email: person + '@customer.example'});
  window.change = (categories) => { window.categories = categories; changed(categories); };
}"""


def test_decisions_of_a_consent_banner_reach_the_ledger(product: Product, key: str, visit):
    tag = uuid.uuid4().hex[:8]
    _, write_key = new_source(product, "browser")
    for category in ("marketing", "analytics"):
        purpose = {
            "key": f"{category}-{tag}", "name": f"{category} {tag}", "legal_basis": "consent", "channels": ["email"],
            "consent_categories": [category],
        }  # fmt: skip
        call(product, "POST", "/api/v1/purposes", purpose, key=key)
    person = f"b-{tag}"

    def states() -> dict[str, str]:
        found = call(product, "GET", f"/api/v1/profiles?identifier=user_id:{person}", key=key)["results"]
        if not found:
            return {}
        rows = call(product, "GET", f"/api/v1/profiles/{found[0]['id']}/consents", key=key)["results"]
        return {row["purpose"].removesuffix(f"-{tag}"): row["state"] for row in reversed(rows) if tag in row["purpose"]}

    with visit() as page:
        page.evaluate(CONSENT, [write_key, product.base_url, person])
        wait_for(lambda: states() == {"marketing": "granted", "analytics": "denied"}, seconds=SETTLE_SECONDS)
        page.evaluate("change({marketing: false, analytics: true})")
        wait_for(lambda: states() == {"marketing": "withdrawn", "analytics": "granted"}, seconds=SETTLE_SECONDS)


@pytest.fixture(scope="module")
def script(product: Product) -> None:
    """Put the script of the snippet where `make snippet` puts it."""
    package = Path("node_modules/@segment/analytics-next/dist/umd")
    place = product.data_dir / "snippet" / package
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(node_sdks() / package)


def test_the_snippet_of_the_sources_page_works_when_pasted(product: Product, key: str, site: Site, visit, script: None):
    from ingestion.models import Source
    from ingestion.ui.connecting import list_examples

    source, write_key = new_source(product, "browser")
    examples = list_examples(source=Source(kind="browser"), write_key=write_key, base_url=product.base_url)
    snippet = next(example.code for example in examples if example.name == "snippet")
    person = f"b-{uuid.uuid4().hex[:8]}"
    calls = f"<script>analytics.identify({json.dumps(person)}); analytics.track('Product Viewed', {{a: 1}});</script>"
    html = f"<!doctype html><html lang=en><head><title>Shop</title>{snippet}</head><body>{calls}</body></html>"
    (site.folder / "pasted.html").write_text(html)
    # The query makes the script load one of its parts, from here too.
    with visit("/pasted.html?ajs_prop_x=1") as page:
        wait_for(lambda: counts(product, source, key)["accepted"] == 3, seconds=SETTLE_SECONDS)
        # What the page calls later goes to the script itself.
        page.evaluate("analytics.track('Later', {})")
        wait_for(lambda: counts(product, source, key)["accepted"] == 4, seconds=SETTLE_SECONDS)
        asked = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert outcomes(product, source, key) == {"received": 4, "accepted": 4}
    assert [one for one in asked if not one.startswith((product.base_url, site.url))] == []


def test_a_pixel_in_a_mail_is_a_message(product: Product, key: str, visit):
    source, write_key = new_source(product, "browser")
    message = {"writeKey": write_key, "event": "Email Opened", "userId": f"mail-{uuid.uuid4().hex[:8]}"}
    data = base64.urlsafe_b64encode(json.dumps(message).encode()).decode().rstrip("=")
    with visit() as page:
        sizes: Any = page.evaluate(
            """(url) => new Promise((resolve, reject) => {
              const image = new Image();
              image.onload = () => resolve([image.naturalWidth, image.naturalHeight]);
              image.onerror = reject;
              image.src = url;
            })""",
            f"{product.base_url}/v1/pixel/track?data={data}",
        )
    assert sizes == [1, 1]
    wait_for(lambda: counts(product, source, key)["accepted"] == 1, seconds=SETTLE_SECONDS)


TWO_HOURS_AHEAD = """(() => {
  const Real = Date, ahead = 2 * 3600 * 1000;
  window.Date = class extends Real {
    constructor(...given) { if (given.length) super(...given); else super(Real.now() + ahead); }
    static now() { return Real.now() + ahead; }
  };
})()"""


def test_a_page_whose_clock_is_wrong_is_corrected(product: Product, key: str, visit):
    source, write_key = new_source(product, "browser")
    person = f"b-{uuid.uuid4().hex[:8]}"
    with visit() as page:
        page.evaluate(TWO_HOURS_AHEAD)
        page.evaluate(SEND, [write_key, product.base_url, person, LOAD[WRONG_CLOCK]])
        wait_for(lambda: counts(product, source, key)["accepted"] == 3, seconds=SETTLE_SECONDS)
    event = events_of(product, person, key)["track"]
    occurred_at, received_at, original = (
        datetime.datetime.fromisoformat(event[name]) for name in ("occurred_at", "received_at", "original_timestamp")
    )
    assert datetime.timedelta(hours=1, minutes=59) < original - received_at <= datetime.timedelta(hours=2)
    assert datetime.timedelta(0) <= received_at - occurred_at < datetime.timedelta(seconds=30)
