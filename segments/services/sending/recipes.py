"""Reading how a destination is told; secrets are opened here, right before they are used."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cdp.core.secrets import seal, unseal
from segments.sending.columns import Column
from segments.sending.templates import Template, read_template
from segments.sending_models import Destination
from segments.services.sending.posting import Recipe

SEALED_AS = "segments.destination"
SENT_AS = "segments.activated"


def seal_secrets(*, signing: Sequence[str], values: Mapping[str, str]) -> bytes:
    """Return secrets as they are kept."""
    return seal(orjson.dumps({"signing": list(signing), "values": dict(values)}), context=SEALED_AS)


def open_secrets(destination: Destination) -> tuple[list[str], dict[str, str]]:
    """Return the signing secrets, the present one first, and the named ones."""
    held = orjson.loads(unseal(bytes(destination.sealed), context=SEALED_AS))
    return held["signing"], held["values"]


def seal_values(values: Mapping[str, Any]) -> bytes:
    """Return what was sent of a person as it is kept, to be able to say who is to be removed."""
    return seal(orjson.dumps(values), context=SENT_AS)


def open_values(sealed: bytes | memoryview) -> dict[str, Any]:
    """Read what `seal_values` made."""
    found: dict[str, Any] = orjson.loads(unseal(bytes(sealed), context=SENT_AS))
    return found


def known_places(*, columns: Sequence[Column], secret_names: Sequence[str]) -> set[str]:
    """Return the names that a template may use."""
    return {f"person.{column.name}" for column in columns} | {f"secret.{name}" for name in secret_names}


def read_recipe(destination: Destination) -> Recipe:
    """Return how a destination is told."""
    signing, secrets = open_secrets(destination)
    columns = [Column(**column) for column in destination.columns]
    known = known_places(columns=columns, secret_names=list(secrets))
    removal: Template | None = None
    if destination.removal is not None:
        removal = read_template(destination.removal, path="removal", known=known)
    return Recipe(
        request=read_template(destination.request, path="request", known=known),
        removal=removal,
        signing=signing if destination.kind == Destination.Kind.WEBHOOK else (),
        secrets=secrets,
        segment_key=destination.segment.key,
        segment_name=destination.segment.name,
        people_per_request=destination.people_per_request,
    )
