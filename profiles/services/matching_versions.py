"""Trained versions of a model: kept with a keyed digest, read only if it is ours, put in force if they are better."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from cdp.core.digests import derived_key
from profiles.errors import BadModel
from profiles.matching_models import MatchModel, MatchVersion


def digest_of(artefact: str) -> bytes:
    """Return the keyed digest of an artefact (HMAC-SHA-256)."""
    return hmac.digest(derived_key("matching-model"), artefact.encode(), "sha256")


def write_version(
    *, model: MatchModel, stored: Mapping[str, Any], labels: int, auto_link: float | None, now: datetime
) -> MatchVersion:
    """Keep a trained state as the next version."""
    last = MatchVersion.objects.filter(model=model).order_by("-version").first()
    artefact = orjson.dumps(stored, option=orjson.OPT_SORT_KEYS).decode()
    return MatchVersion.objects.create(
        model=model,
        version=1 if last is None else last.version + 1,
        artefact=artefact,
        digest=digest_of(artefact),
        measured=stored["measured"],
        labels=labels,
        auto_link=auto_link,
        created_at=now,
    )


def read_version(*, model: MatchModel, version: int) -> dict[str, Any]:
    """Return a version's artefact.

    Raises
    ------
    BadModel
        If it was not written by this installation, or was changed.
    """
    found = MatchVersion.objects.get(model=model, version=version)
    if not hmac.compare_digest(bytes(found.digest), digest_of(found.artefact)):
        message = "The trained model was changed or comes from another installation. Train it anew."
        raise BadModel(message)
    read: dict[str, Any] = orjson.loads(found.artefact)
    return read


def promote(*, model: MatchModel, version: MatchVersion, now: datetime) -> bool:
    """Put a version in force unless the live one did better on the labels that it knew (held back from both).

    Returns
    -------
    bool
        Whether it is in force now.
    """
    live = MatchVersion.objects.filter(model=model, version=model.live_version or 0).first()
    if live is not None:
        before, after = live.measured.get("f1"), version.measured.get("f1_on_frozen")
        if before is not None and after is not None and after < before:
            return False
    MatchVersion.objects.filter(pk=version.pk).update(promoted_at=now)
    MatchModel.objects.filter(pk=model.pk).update(live_version=version.version)
    model.live_version = version.version
    return True
