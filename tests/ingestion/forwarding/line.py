"""The line of waiting copies: setting it up, moving it on, and what came of it."""

import json
from datetime import timedelta

from django.utils import timezone

from ingestion.models import ForwardedCopy, Forwarding
from ingestion.services import forward_copies as forwarding
from ingestion.services.forwarding import (
    ForwardingSettings,
    set_forwarding,
)
from tests.ingestion.door import post

TRACK = {"type": "track", "event": "Seen", "userId": "dana-1"}


def forward_copies() -> int:
    """Send what waits, however long this machine takes for it."""
    return forwarding.forward_copies(seconds=60)


def forward(server, key="shop", **changes):
    wanted = {"url": f"{server.url}/v1", "write_key": "old-key", "same_controller": True, **changes}
    return set_forwarding(key=key, wanted=ForwardingSettings(**wanted), actor="user:1", now=timezone.now())


def state() -> Forwarding:
    return Forwarding.objects.get()


def due_again() -> None:
    """Let the pause after a failure be over."""
    Forwarding.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    ForwardedCopy.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now() - timedelta(seconds=1))


def ids(server) -> list[str]:
    """Return the message ids that arrived, in order."""
    found = []
    for request in server.received:
        body = json.loads(request.body)
        found += [item["messageId"] for item in body.get("batch", [body])]
    return found


def send(key, *names, **fields):
    for name in names:
        assert post("/v1/track", {**TRACK, "messageId": name, **fields}, key).status_code == 200
