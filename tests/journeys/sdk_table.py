"""Which SDK was seen to do what, taken from the journeys themselves: `python -m tests.journeys.sdk_table`.

docs/reference/sdks.md holds it; tests/architecture/test_documented_sdks.py holds the two against each other.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.journeys import test_browser_sdks as browser
from tests.journeys import test_server_sdks as server
from tests.journeys.sdks import LEGACY, NODE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "sdks.md"
HEAD = ("SDK", "runs in", "version", "arrives", "sent again", "wrong key", "wrong clock", "to know")
PACKAGES = {
    ("python", "segment"): "segment-analytics-python",
    ("python", "rudder"): "rudder-sdk-python",
    ("python", "customerio"): "customerio-cdp-analytics",
    ("python", "legacy"): "analytics-python",
    ("node", "segment"): "@segment/analytics-node",
    ("node", "rudder"): "@rudderstack/rudder-sdk-node",
    ("node", "legacy"): "analytics-node",
    ("node", "customerio"): "@customerio/cdp-analytics-node",
    ("browser", "segment"): "@segment/analytics-next",
    ("browser", "segment-batching"): "@segment/analytics-next",
    ("browser", "rudder"): "@rudderstack/analytics-js",
    ("browser", "rudder-beacon"): "@rudderstack/analytics-js",
    ("browser", "customerio"): "@customerio/cdp-analytics-browser",
    ("browser", "jitsu"): "@jitsu/js",
}
NOTES = {
    ("python", "rudder"): "gzip by default",
    ("node", "rudder"): "labels gzip as a form; set `errorHandler`, or a wrong key ends the process",
    ("node", "legacy"): "set `errorHandler`, or a wrong key ends the process",
    ("node", "customerio"): "sends no `sentAt`: a wrong clock cannot be corrected, the given time stands",
    ("browser", "segment"): "`cdnURL` is this installation; the HTML snippet too; decisions by analytics-consent-tools",
    ("browser", "segment-batching"): "delivers in batches",
    ("browser", "rudder"): "`configUrl` too",
    ("browser", "rudder-beacon"): "by beacons, whose answer nobody reads",
    ("browser", "customerio"): "`cdnURL` ends with `/customerio`; takes any answer for delivered",
    ("browser", "jitsu"): "drops what is refused",
}  # fmt: skip
RUNS_IN = {"python": "Python", "node": "Node", "browser": "browser"}
PASS, NOT_TRIED = "pass", "not tried"


@dataclass(frozen=True, slots=True)
class Seen:
    """One SDK in one way of use, and which journeys are driven with it."""

    language: str
    sdk: str
    sent_again: bool
    wrong_key: bool
    wrong_clock: bool


def read_seen() -> list[Seen]:
    """Return what the journeys are parametrised with."""
    no_clock = {("node", "customerio")}
    servers = [Seen(language, sdk, True, True, (language, sdk) not in no_clock) for language, sdk in server.SDKS]
    browsers = [
        Seen("browser", sdk, sdk in browser.RETRIES, sdk in browser.WRONG_KEYS, sdk == browser.WRONG_CLOCK)
        for sdk in browser.LOAD
    ]
    return servers + browsers


def read_versions() -> dict[str, str]:
    """Return the version of each package as the locks pin it."""
    versions = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / "requirements" / "dev.in").read_text(), re.M))
    legacy, _, version = LEGACY.partition("==")
    return versions | {legacy: version} | json.loads((NODE / "package.json").read_text())["dependencies"]


def table() -> str:
    """Return the table of the page."""
    versions = read_versions()
    lines = ["| " + " | ".join(HEAD) + " |", "| " + " | ".join("---" for _ in HEAD) + " |"]
    for seen in read_seen():
        package = PACKAGES[seen.language, seen.sdk]
        cells = [package, RUNS_IN[seen.language], versions[package], PASS]
        cells += [PASS if tried else NOT_TRIED for tried in (seen.sent_again, seen.wrong_key, seen.wrong_clock)]
        lines.append("| " + " | ".join([*cells, NOTES.get((seen.language, seen.sdk), "")]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
