"""How consents are laid out on pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import template

register = template.Library()


@register.filter
def matrix(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cells of a person (`consent.ui.sections`) as purposes by channels; ``""`` is all channels.

    A channel that a purpose does not have is None.
    """
    channels = sorted({row["channel"] for row in rows})
    purposes: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        purposes.setdefault(row["purpose"], {})[row["channel"]] = row
    return {
        "channels": channels,
        "rows": [
            {
                "purpose": key,
                "name": next(iter(cells.values()))["purpose_name"],
                "cells": [cells.get(channel) for channel in channels],
            }
            for key, cells in purposes.items()
        ],
    }
