"""The block keys of every profile, kept for those who come in after a run. Imported by the worker of matching only."""

import io
from collections.abc import Iterable

import numpy as np
from django.db import connection, transaction

from profiles.matching.blocking import MOST_IN_BLOCK, Keys, Rule
from profiles.matching.table import Array, Table
from profiles.matching_models import MatchModel

# Keys are stored in their order, for an index is filled fastest so; a part of them at a time bounds the memory.
PARTS = 16
COPY = "COPY profiles_matchkey (model_id, key, profile_id) FROM STDIN (FORMAT binary)"
# PostgreSQL's binary format of COPY: before each value its length, numbers with the highest byte first.
HEAD, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
LINE = np.dtype(
    [
        ("fields", ">i2"),
        ("model_length", ">i4"),
        ("model", ">i4"),
        ("key_length", ">i4"),
        ("key", ">i8"),
        ("profile_length", ">i4"),
        ("profile", ">i8"),
    ]
)


def store_keys(*, model: MatchModel, rules: Iterable[Rule], table: Table, ids: Array) -> int:
    """Replace the block keys of a model by those of a table, and return how many there are.

    Parameters
    ----------
    ids : numpy.ndarray of int
        The profile of each row of the table.

    Notes
    -----
    Blocks past the cap give no pairs, so their keys are left out.
    """
    found = [_slim(rows, hashes) for rows, hashes in Keys(table).steady(rules)]
    keys = np.concatenate([np.empty(0, np.int64), *(hashes.view(np.int64) for _, hashes in found)])
    rows = np.concatenate([np.empty(0, np.int32), *(rows for rows, _ in found)])
    del found
    # The highest bits of a signed number: parts follow one another as the keys do.
    part_of = (keys >> 60).astype(np.int8)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM profiles_matchkey WHERE model_id = %s", [model.pk])
        for part in range(-PARTS // 2, PARTS // 2):
            places = np.nonzero(part_of == part)[0]
            places = places[np.argsort(keys[places], kind="stable")]
            # Django turns the driver's errors into its own for `execute`, but not for COPY.
            with connection.wrap_database_errors:
                cursor.copy_expert(COPY, io.BytesIO(_lines(model.pk, keys[places], ids[rows[places]])))
    return len(keys)


def _slim(rows: Array, hashes: Array) -> tuple[Array, Array]:
    """Return the (row, key) of blocks within the cap."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.concatenate([[0], np.nonzero(ordered[1:] != ordered[:-1])[0] + 1, [len(ordered)]])
    sizes = np.diff(starts)
    kept = order[np.repeat(sizes <= MOST_IN_BLOCK, sizes)] if len(ordered) else order
    return rows[kept].astype(np.int32), hashes[kept]


def _lines(model_id: int, keys: Array, profile_ids: Array) -> bytes:
    lines = np.empty(len(keys), LINE)
    lines["fields"], lines["model_length"], lines["key_length"], lines["profile_length"] = 3, 4, 8, 8
    lines["model"], lines["key"], lines["profile"] = model_id, keys, profile_ids
    return HEAD + lines.tobytes() + END
