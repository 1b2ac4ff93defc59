"""What each row of a definition that is being edited does: who fulfils it, who is left, who would be found without."""

from dataclasses import dataclass

from segments.language.variations import compile_variations
from segments.queries.preview import Trial, ask
from segments.queries.segments import read_setting


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The counts of one row.

    Attributes
    ----------
    count : int
        People for whom the row alone holds.
    left_after : int or None
        People left after this row and those before it; None for rows inside a group.
    without : int
        People whom the definition finds without the row.
    """

    path: str
    sentence: str
    count: int
    left_after: int | None
    without: int


def count_variations(*, trial: Trial) -> tuple[int, list[RowCounts]]:
    """Return how many people a definition finds, and what each of its rows does, in one statement.

    Raises
    ------
    PreviewTooSlow
        If it takes too long.
    """
    found = compile_variations(
        trial.definition,
        now=trial.now,
        setting=read_setting(),
        inline=trial.inline,
    )
    counts = ask(found.compiled.sql, found.compiled.parameters)[0]
    rows = [
        RowCounts(
            row.path,
            row.sentence,
            counts[row.alone],
            None if row.left_after is None else counts[row.left_after],
            counts[row.without],
        )
        for row in found.rows
    ]
    return counts[0], rows
