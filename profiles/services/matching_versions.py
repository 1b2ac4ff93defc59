"""Trained versions of a model: kept with a keyed digest, read only if it is ours, put in force if they are better."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from cdp.core.digests import derived_key
from profiles.errors import BadModel
from profiles.matching.evaluating import f1_of, log_loss
from profiles.matching.table import Array
from profiles.matching_models import MatchLabel, MatchModel, MatchVersion


def digest_of(artefact: str) -> bytes:
    """Return the keyed digest of an artefact (HMAC-SHA-256)."""
    return hmac.digest(derived_key("matching-model"), artefact.encode(), "sha256")


def write_version(
    *,
    model: MatchModel,
    stored: Mapping[str, Any],
    labels: int,
    auto_link: float | None,
    now: datetime,
    engine: str = MatchVersion.Engine.DEDUPE,
) -> MatchVersion:
    """Keep a trained state as the next version."""
    last = MatchVersion.objects.filter(model=model).order_by("-version").first()
    artefact = orjson.dumps(stored, option=orjson.OPT_SORT_KEYS).decode()
    return MatchVersion.objects.create(
        model=model,
        version=1 if last is None else last.version + 1,
        engine=engine,
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


def live_version(model: MatchModel) -> MatchVersion | None:
    """Return the version in force; None if nothing was trained."""
    return MatchVersion.objects.filter(model=model, version=model.live_version or 0).first()


def frozen_pairs(model: MatchModel) -> set[tuple[int, int]]:
    """Return the nodes of the labels that the version in force knew: on these, others are measured against it."""
    live = live_version(model)
    if live is None:
        return set()
    known = MatchLabel.objects.filter(model=model, answered_at__lte=live.created_at)
    return set(known.values_list("left_node", "right_node"))


def measure_frozen(found: Array, truth: Array, *, threshold: float = 0.5) -> dict[str, Any]:
    """Return what is compared with the live version, from probabilities of the labels that it knew."""
    return {
        "frozen_labels": len(truth),
        "f1_on_frozen": f1_of(found >= threshold, truth),
        "log_loss_on_frozen": log_loss(found, truth),
    }


def promote(*, model: MatchModel, version: MatchVersion, now: datetime) -> bool:
    """Put a version in force if it beats the live one on the labels that the live one knew, held back from both.

    Returns
    -------
    bool
        Whether it is in force now.

    Notes
    -----
    Of two with the same F1, as where both are always right, the one that is less surprised by the answers is better.
    """
    live = live_version(model)
    if live is not None and not _beats(version.measured, live.measured):
        return False
    MatchVersion.objects.filter(pk=version.pk).update(promoted_at=now)
    # The block keys that are stored for newcomers are those of other rules: the worker stores them anew.
    MatchModel.objects.filter(pk=model.pk).update(live_version=version.version, followed_run_id=None)
    model.live_version = version.version
    return True


def _beats(fresh: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    before, after = live.get("f1"), fresh.get("f1_on_frozen")
    if after is None or before is None:
        # The labels that the live version knew are gone, so that nothing is left to beat.
        return True
    if after != before:
        return bool(after > before)
    # A version of an earlier release has no log loss.
    return "log_loss" not in live or bool(fresh["log_loss_on_frozen"] < live["log_loss"])
