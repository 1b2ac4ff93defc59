"""A model that was asked, answered and trained once in this process: the same rows again, in a tenth of the time.

The first test of a process goes the whole way; the rows that it ends with are what the others begin with.
"""

from dataclasses import dataclass
from typing import Any

from profiles.matching_models import MatchLabel, MatchModel, MatchQuestion, MatchVersion
from profiles.models import Identifier

ASKED = (MatchLabel, MatchQuestion)
NODES = ("left_node", "right_node")


@dataclass(slots=True)
class _Taught:
    model: dict[str, Any]
    versions: list[dict[str, Any]]
    # Labels and questions: records are named, since they have other ids each time.
    asked: list[list[dict[str, Any]]]


_taught: dict[str, _Taught] = {}


def remember(key: str) -> None:
    """Keep what a model was taught."""
    model = MatchModel.objects.get(key=key)
    names = dict(Identifier.objects.values_list("pk", "value"))
    _taught[key] = _Taught(
        _without_ids(MatchModel.objects.filter(pk=model.pk).values().get()),
        [_without_ids(row) for row in MatchVersion.objects.filter(model=model).order_by("id").values()],
        [
            [
                {**_without_ids(row), **{node: names[row[node]] for node in NODES}}
                for row in kind.objects.filter(model=model).order_by("id").values()
            ]
            for kind in ASKED
        ],
    )


def teach_again(key: str) -> bool:
    """Teach a model of the same records what was kept; False if nothing was yet."""
    known = _taught.get(key)
    if known is None:
        return False
    model = MatchModel.objects.get(key=key)
    nodes = dict(Identifier.objects.values_list("value", "pk"))
    # Everything was said by whoever made the model, and is said by whoever made this one.
    by = {known.model["created_by"]: model.created_by}
    MatchModel.objects.filter(pk=model.pk).update(**known.model | {"created_by": model.created_by})
    MatchVersion.objects.bulk_create([MatchVersion(model=model, **row) for row in known.versions])
    for kind, rows in zip(ASKED, known.asked, strict=True):
        kind.objects.filter(model=model).delete()
        again = [{**row, **{node: nodes[row[node]] for node in NODES}} for row in rows]
        said = [{**row, "actor": by[row["actor"]]} if "actor" in row else row for row in again]
        kind.objects.bulk_create([kind(model=model, **row) for row in said])
    return True


def _without_ids(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"id", "model_id"}}
