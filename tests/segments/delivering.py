"""Destinations for tests: real requests to a real server of this machine."""

import json
from typing import Any

from django.utils import timezone

from segments.sending_models import Delivery, Destination
from segments.services.sending.delivering import send_deliveries
from tests.listening import OtherServer, Received
from tests.segments.asking import catch_up
from tests.world import api


def officer() -> Any:
    return api("segments:write", "personal_data:read")


def destination(server: OtherServer, *, key: str = "crm", client: Any = None, **asked: Any) -> dict[str, Any]:
    """Set a destination up by REST: a webhook of everybody who may be reached for marketing by e-mail."""
    given = {
        "key": key,
        "segment": "all",
        "kind": "webhook",
        "purpose": "marketing",
        "channel": "email",
        "recipient": "Example CRM",
        "request": {"url": server.url + "/hook"},
        **asked,
    }
    answer = (client or officer()).post("/api/v1/destinations", given, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def template(server: OtherServer, **more: Any) -> dict[str, Any]:
    """Return what makes a destination of templated requests."""
    return {
        "kind": "request",
        "columns": ["id", "email", {"name": "digest", "source": "email", "transform": "hash_email"}],
        "secrets": {"token": "s3cret"},
        "request": {
            "method": "PUT",
            "url": server.url + "/contacts/{{person.email}}?list={{segment.key}}",
            "headers": {"Authorization": "Bearer {{secret.token}}"},
            "body": {"id": "{{person.id}}", "who": "<{{person.email}}>", "digest": "{{person.digest}}", "on": True},
        },
        "removal": {
            "method": "POST",
            "url": server.url + "/remove",
            "body": {"id": "{{person.id}}", "why": "{{reason}}"},
        },
        **more,
    }


def deliver() -> int:
    """Bring segments up to date and send what waits, however long this machine takes for it."""
    catch_up(timezone.now())
    return send_deliveries(seconds=30)


def due_now() -> None:
    """Let pauses be over."""
    Destination.objects.update(retry_at=None)
    Delivery.objects.exclude(state="dead").update(due_at=timezone.now())


def told(server: OtherServer) -> list[tuple[str, str]]:
    """Return what a receiver of webhooks was told: the event and the person's id."""
    return [(body["type"], body["data"]["person"]["id"]) for body in map(read, server.received)]


def read(request: Received) -> dict[str, Any]:
    """Return the body of a request."""
    found: dict[str, Any] = json.loads(request.body)
    return found
