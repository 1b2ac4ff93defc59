"""How consents are laid out on pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import template
from django.apps import apps

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


@register.filter
def place(name: str) -> str:
    """Write where the search for a person found something as an officer knows it: a table by what its rows are."""
    table = name.removeprefix("pg_stats of ")
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    # A partition is called by its table and a period.
    parts = table.split("_")
    for length in range(len(parts), 1, -1):
        model = models.get("_".join(parts[:length]))
        if model is not None:
            return f"{'statistics of ' if name != table else ''}{model._meta.verbose_name}"
    return name.replace("_", " ")
