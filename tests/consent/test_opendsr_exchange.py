"""The exchange that docs/explanation/opendsr-exchange.md shows is the one that happens, message by message.

OPENDSR_TRANSCRIPT=write writes the page anew.
"""

import json
import os
import re
from pathlib import Path

import pytest
from django.utils import timezone

from consent.services.callbacks import send_callbacks
from tests.consent.test_opendsr import EMAIL, V2, approve_and_run, controller, message, nora, send
from tests.consent.test_processors import DOMAIN, address, erase, processor, tell
from tests.listening import LOCAL, OtherServer
from tests.world import api

__all__ = ["controller", "nora", "processor"]

pytestmark = pytest.mark.django_db

PAGE = Path(__file__).parents[2] / "docs/explanation/opendsr-exchange.md"
HEAD = """# OpenDSR, word for word

Two exchanges as they go over the wire; numbers, times, keys and signatures are left out. A test repeats them and holds
them against this page.
"""
SHOWN = ("authorization", "content-type", "webhook-id", "webhook-timestamp", "webhook-signature")


class Transcript:
    """What was said, as Markdown."""

    def __init__(self):
        self.text = HEAD
        self.known = {}

    def heading(self, text):
        self.text += f"\n## {text}\n"

    def say(self, what, *, line, headers, body):
        named = {name.lower(): value for name, value in headers.items()}
        lines = [line]
        lines += [f"{name}: {named[name]}" for name in sorted(named) if name in SHOWN or name.startswith("x-opendsr")]
        if body:
            lines += ["", self._written(json.loads(body))]
        self.text += f"\n{what}\n\n```\n{self._still(chr(10).join(lines))}\n```\n"

    def _written(self, body):
        """Return a body with one line for each object in a list, and the first few only of a long one."""
        short = {name: [*one[:4], "…"] if isinstance(one, list) and len(one) > 6 else one for name, one in body.items()}
        text = json.dumps(short, indent=2, ensure_ascii=False)
        return re.sub(r"\{\s+(\"identity_type\"[^}]+?)\s+\}", lambda found: f"{{{' '.join(found[1].split())}}}", text)

    def _still(self, text):
        """Replace what differs each time."""
        text = re.sub(r"http://127\.0\.0\.1:\d+", "https://other.example", text)
        text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b", self._number, text)
        text = re.sub(r"\d{4}-\d{2}-\d{2}T[\d:.]+(Z|\+00:00)", "TIME", text)
        text = re.sub(r"(signature: (?:v1a,)?)\S+", r"\1BASE64", text)
        text = re.sub(r"(webhook-timestamp: )\d+", r"\1SECONDS", text)
        text = re.sub(r"(webhook-id: msg_callback_)\d+", r"\1NUMBER", text)
        text = re.sub(r'("encoded_request": )"[^"]+"', r'\1"BASE64"', text)
        return re.sub(r'"whpk_[^"]+"', '"whpk_BASE64"', text)

    def _number(self, found):
        return self.known.setdefault(found.group(), f"UUID-{len(self.known) + 1}")


def test_goes_as_the_page_says(controller, nora, processor, make_profile, settings):
    settings.CDP_BASE_URL = "https://cdp.example"
    settings.CDP_OUTGOING_ALLOW = LOCAL
    said = Transcript()
    _as_processor(said, controller)
    _as_controller(said, processor, make_profile)
    if os.environ.get("OPENDSR_TRANSCRIPT") == "write":
        PAGE.write_text(said.text, encoding="utf-8")
    assert said.text == PAGE.read_text(encoding="utf-8")


def _as_processor(said, client):
    said.heading("This installation as the processor")

    def call(method, path, body=b""):
        answer = client.generic(method, path, body, content_type="application/json")
        key = {} if path.endswith("discovery") else {"authorization": "Bearer KEY"}
        said.say("The controller:", line=f"{method} {path}", headers=key, body=body)
        said.say("The answer:", line=str(answer.status_code), headers=answer.headers, body=answer.content)
        return answer

    with OtherServer(reply=lambda _: (202, {}, b"")) as listener:
        body = message(status_callback_urls=[f"{listener.url}/told"])
        call("GET", f"{V2}/discovery")
        call("POST", f"{V2}/requests", json.dumps(body).encode())
        number = body["subject_request_id"]
        assert send(client, body).status_code == 400
        for act in (lambda: None, lambda: approve_and_run(number)):
            act()
            send_callbacks(clock=timezone.now)
            told = listener.received[-1]
            said.say("The callback:", line=f"POST {told.path}", headers=told.headers, body=told.body)
            said.say("The controller's answer:", line="202", headers={}, body=b"")
        call("GET", f"{V2}/requests/{number}")
        waits = message(subject_identities=[{"identity_type": "email", "identity_value": "other@example.org"}])
        send(client, waits)
        call("DELETE", f"{V2}/requests/{waits['subject_request_id']}")
    assert EMAIL in said.text
    assert said.text.count(EMAIL) == 1


def _as_controller(said, other, make_profile):
    said.heading("This installation as the controller")
    address(other)
    erase(make_profile)
    replies = []
    answer = other.server.reply

    def reply(request):
        found = answer(request)
        replies.append((request, found))
        return found

    other.server.reply = reply
    assert tell() == 1
    for request, (status, headers, body) in replies:
        said.say("Sent:", line=f"{request.method} {request.path}", headers=request.headers, body=request.body)
        shown = b"" if body.startswith(b"-----BEGIN") else body
        line = f"{status}" if shown else f"{status} (the certificate, PEM)"
        said.say("The processor:", line=line, headers=headers, body=shown)
    (number,) = other.requests
    for state in ("in_progress", "completed"):
        callback = json.dumps(other.told(number, request_status=state, status_callback_url=_callbacks())).encode()
        headers = other.headers(callback)
        named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        taken = api().post("/opendsr/callbacks", callback, content_type="application/json", **named)
        said.say("The processor:", line="POST /opendsr/callbacks", headers=headers, body=callback)
        said.say("The answer:", line=str(taken.status_code), headers={}, body=b"")
    assert DOMAIN in said.text


def _callbacks():
    return "https://cdp.example/opendsr/callbacks"
