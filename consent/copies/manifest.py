"""What a package contains, file by file, so that whoever receives it can check that nothing is missing or changed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a package; `rows` is how many entries it lists."""

    name: str
    rows: int
    bytes: int
    sha256: str


def make_manifest(
    *, request_id: str, type: str, made_at: Any, parts: Sequence[Part], ids: Sequence[str]
) -> dict[str, Any]:
    """Return the content of ``manifest.json``; `ids` are all ids that the person's profiles have or had."""
    return {
        "format": FORMAT,
        "request": request_id,
        "type": type,
        "made_at": made_at,
        "profiles": list(ids),
        "files": [asdict(part) for part in parts],
    }
