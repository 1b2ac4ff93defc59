"""Labels as the portable truth: by record id, whoever answered."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from profiles.matching_models import MatchLabel, MatchModel
from profiles.queries.matching import read_names


def export_labels(*, model: MatchModel) -> tuple[QuerySet[MatchLabel], Callable[[MatchLabel], dict[str, Any]]]:
    """Return the labels of a model, and what presents one by the record ids that its identifiers stand for."""
    names: dict[int, str] = {}
    rows = MatchLabel.objects.filter(model=model)

    def present(row: MatchLabel) -> dict[str, Any]:
        if row.left_node not in names or row.right_node not in names:
            near = rows.filter(pk__gte=row.pk).order_by("pk")[:1_000].values_list("left_node", "right_node")
            names.update(read_names({node for pair in near for node in pair}))
        return {
            "left": names.get(row.left_node),
            "right": names.get(row.right_node),
            "answer": row.answer,
            "origin": row.origin,
            "actor": row.actor,
            "answered_at": row.answered_at,
        }

    return rows, present
