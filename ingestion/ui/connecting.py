"""How to connect each SDK to a source: code to paste, with this installation's address and the source's key."""

import json
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ingestion.models import Source


@dataclass(frozen=True, slots=True)
class Example:
    """One way to connect: what it is, the code, and what to know about it."""

    name: str
    title: str
    code: str
    note: str = ""


# Queues calls until the script has loaded; the script takes the queue and everything it needs from `window.analytics`.
SNIPPET = """<script>
(function (key, host) {
  var queue = window.analytics = window.analytics || [];
  if (queue.initialize || queue.invoked) return;
  queue.invoked = true;
  queue._writeKey = key;
  queue._cdn = host;
  ["track", "identify", "page", "group", "alias", "screen", "reset", "ready", "on", "once", "off", "user",
   "setAnonymousId", "addSourceMiddleware", "debug"].forEach(function (name) {
    queue[name] = function () {
      var now = window.analytics;
      if (now !== queue) return now[name].apply(now, arguments);
      queue.push([name].concat([].slice.call(arguments)));
      return queue;
    };
  });
  var script = document.createElement("script");
  script.async = true;
  script.src = host + "/analytics.js/v1/" + key + "/analytics.min.js";
  document.head.appendChild(script);
})(%s, %s);
analytics.page();
</script>"""


def list_examples(*, source: Source, write_key: str, base_url: str) -> list[Example]:
    """Return what fits the kind of source, the usual way first."""
    key, host = json.dumps(write_key), json.dumps(base_url)
    if source.kind == Source.Kind.BROWSER:
        return [*_browser(key, host, write_key, base_url), _curl(write_key, base_url)]
    if source.kind == Source.Kind.MOBILE:
        return [*_mobile(key, write_key, base_url), _curl(write_key, base_url)]
    return [_curl(write_key, base_url), *_server(key, host)]


def _curl(write_key: str, base_url: str) -> Example:
    return Example(
        "curl",
        "curl",
        f"""curl {base_url}/v1/batch \\
  -u '{write_key}:' -H 'Content-Type: application/json' \\
  -d '{{"batch": [
    {{"type": "identify", "userId": "42", "traits": {{"email": "ada@example.org", "name": "Ada Archer"}}}},
    {{"type": "track", "userId": "42", "event": "Order Completed",
     "properties": {{"order_id": "1001", "revenue": 59.9, "currency": "EUR"}}}}]}}'""",
    )


def _server(key: str, host: str) -> list[Example]:
    return [
        Example(
            "python",
            "Python (segment-analytics-python)",
            f"""import segment.analytics as analytics

analytics.write_key = {key}
analytics.host = {host}
analytics.identify("42", {{"email": "ada@example.org", "name": "Ada Archer"}})
analytics.track("42", "Order Completed", {{"order_id": "1001", "revenue": 59.9}})
analytics.flush()""",
        ),
        Example(
            "node",
            "Node (@segment/analytics-node)",
            f"""import {{ Analytics }} from "@segment/analytics-node";

const analytics = new Analytics({{ writeKey: {key}, host: {host} }});
analytics.identify({{ userId: "42", traits: {{ email: "ada@example.org" }} }});
analytics.track({{ userId: "42", event: "Order Completed", properties: {{ order_id: "1001", revenue: 59.9 }} }});
await analytics.closeAndFlush();""",
        ),
        Example(
            "rudder-python",
            "RudderStack for Python (rudder-sdk-python)",
            f"""import rudderstack.analytics as analytics

analytics.write_key = {key}
analytics.dataPlaneUrl = {host}
analytics.track("42", "Order Completed", {{"order_id": "1001", "revenue": 59.9}})
analytics.flush()""",
        ),
        Example(
            "rudder-node",
            "RudderStack for Node (@rudderstack/rudder-sdk-node)",
            f"""import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const analytics = new RudderAnalytics({key}, {{ dataPlaneUrl: {host} }});
analytics.track({{ userId: "42", event: "Order Completed", properties: {{ order_id: "1001", revenue: 59.9 }} }});
await analytics.flush();""",
        ),
    ]


def _browser(key: str, host: str, write_key: str, base_url: str) -> list[Example]:
    pixel = f"{base_url}/v1/pixel/track?writeKey={quote(write_key)}&event=Email%20Opened&userId=42"
    return [
        Example(
            "snippet",
            "HTML, into the head of every page",
            SNIPPET % (key, host),
            "The script is by Segment and comes from this host, once somebody has run make snippet here "
            "(the container image has it).",
        ),
        Example(
            "npm",
            "Bundled (@segment/analytics-next)",
            f"""import {{ AnalyticsBrowser }} from "@segment/analytics-next";

const analytics = AnalyticsBrowser.load({{ writeKey: {key}, cdnURL: {host} }});
analytics.page();
analytics.track("Product Viewed", {{ product_id: "p-1" }});""",
        ),
        Example(
            "rudder-js",
            "RudderStack (@rudderstack/analytics-js)",
            f"""import {{ RudderAnalytics }} from "@rudderstack/analytics-js/bundled";

const analytics = new RudderAnalytics();
analytics.load({key}, {host}, {{ configUrl: {host} }});
analytics.page();""",
        ),
        Example(
            "jitsu",
            "Jitsu (@jitsu/js)",
            f"""import {{ jitsuAnalytics }} from "@jitsu/js";

const analytics = jitsuAnalytics({{ host: {host}, writeKey: {key} }});
analytics.page();""",
        ),
        Example(
            "customerio",
            "Customer.io (@customerio/cdp-analytics-browser)",
            f"""import {{ AnalyticsBrowser }} from "@customerio/cdp-analytics-browser";

const analytics = AnalyticsBrowser.load({{ writeKey: {key}, cdnURL: {json.dumps(base_url + "/customerio")} }});
analytics.page();""",
        ),
        Example("pixel", "A pixel, for mails", f'<img src="{pixel}" alt="" width="1" height="1">'),
    ]


def _mobile(key: str, write_key: str, base_url: str) -> list[Example]:
    address = urlsplit(base_url)
    bare = address.netloc + address.path
    return [
        Example(
            "react-native",
            "React Native (@segment/analytics-react-native)",
            f"""import {{ createClient }} from "@segment/analytics-react-native";

const analytics = createClient({{
  writeKey: {key},
  proxy: {json.dumps(f"{base_url}/v1/b")},
  cdnProxy: {json.dumps(f"{base_url}/v1/projects/{quote(write_key)}/settings")},
}});""",
        ),
        Example(
            "swift",
            "iOS (analytics-swift)",
            f"""let configuration = Configuration(writeKey: {key})
    .apiHost({json.dumps(f"{bare}/v1")})
    .cdnHost({json.dumps(f"{bare}/v1")})
let analytics = Analytics(configuration: configuration)""",
            "These SDKs speak HTTPS only.",
        ),
        Example(
            "kotlin",
            "Android (analytics-kotlin)",
            f"""val analytics = Analytics({key}, applicationContext) {{
    apiHost = {json.dumps(f"{bare}/v1")}
    cdnHost = {json.dumps(f"{bare}/v1")}
}}""",
            "These SDKs speak HTTPS only.",
        ),
    ]
