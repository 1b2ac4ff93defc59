"""The block keys of every profile, kept for those who come in after a run. Imported by the worker of matching only."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from django.db import connection, transaction

from cdp.core.copying import int_array
from profiles.matching.blocking import MOST_IN_BLOCK, Keys, Rule, blocks_of
from profiles.matching.model import TrainedModel
from profiles.matching.table import Array, Table
from profiles.matching_models import MatchModel
from profiles.services.matching_gone import Part

# Keys are stored in their order, for an index is filled fastest so; a part of them at a time bounds the memory.
PARTS = 16
COPY = "COPY profiles_matchkey (model_id, key, profile_id) FROM STDIN (FORMAT binary)"
COPY_LISTS = "COPY profiles_matchkeylist (model_id, profile_id, keys) FROM STDIN (FORMAT binary)"
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
# A list is a line of this and its elements: the head of an array of one dimension, without nulls, of bigint.
LIST = np.dtype(
    [
        ("fields", ">i2"),
        ("model_length", ">i4"),
        ("model", ">i4"),
        ("profile_length", ">i4"),
        ("profile", ">i8"),
        ("keys_length", ">i4"),
        ("dimensions", ">i4"),
        ("nulls", ">i4"),
        ("element", ">i4"),
        ("number", ">i4"),
        ("first", ">i4"),
    ]
)
ELEMENT = np.dtype([("length", ">i4"), ("key", ">i8")])
BIGINT, HEAD_OF_ARRAY = 20, 20
LISTS_AT_ONCE = 50_000

KEEP = """
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT key, profile_id FROM unnest(%(keys)s::bigint[], %(holders)s::bigint[]) AS t(key, profile_id)
), stored AS MATERIALIZED (
    SELECT profile_id, unnest(keys) AS key FROM profiles_matchkeylist
    WHERE model_id = %(model)s AND profile_id = ANY(%(fresh)s::bigint[])
), dropped AS (
    DELETE FROM profiles_matchkey k USING stored s
    WHERE k.model_id = %(model)s AND k.key = s.key AND k.profile_id = s.profile_id AND NOT EXISTS (
        SELECT FROM wanted w WHERE w.profile_id = s.profile_id AND w.key = s.key)
), added AS (
    INSERT INTO profiles_matchkey (model_id, key, profile_id)
    SELECT %(model)s, key, profile_id FROM wanted w WHERE NOT EXISTS (
        SELECT FROM stored s WHERE s.profile_id = w.profile_id AND s.key = w.key)
    ON CONFLICT DO NOTHING
), left_without AS (
    DELETE FROM profiles_matchkeylist l WHERE l.model_id = %(model)s AND l.profile_id = ANY(%(fresh)s::bigint[])
        AND NOT EXISTS (SELECT FROM wanted w WHERE w.profile_id = l.profile_id)
)
INSERT INTO profiles_matchkeylist AS l (model_id, profile_id, keys)
SELECT %(model)s, profile_id, array_agg(key ORDER BY key) FROM wanted GROUP BY profile_id
ON CONFLICT (profile_id, model_id) DO UPDATE SET keys = excluded.keys WHERE l.keys <> excluded.keys
"""

Found = tuple[list[int], list[int]]


def keys_of(trained: TrainedModel, table: Table, ids: Sequence[int]) -> Found:
    """Return the block keys of some profiles, as (keys, profiles)."""
    profiles = np.asarray(ids, np.int64)
    found = [(hashes.view(np.int64), profiles[rows]) for rows, hashes in Keys(table).steady_of_few(trained.rules)]
    keys, holders = zip(*found, strict=True) if found else ((), ())
    return np.concatenate([np.empty(0, np.int64), *keys]).tolist(), np.concatenate(
        [np.empty(0, np.int64), *holders]
    ).tolist()


def keep_keys(model: MatchModel, keys: Found, fresh: Sequence[int]) -> Part:
    """Return what has the keys of newcomers stored; those that stayed are not written again."""
    given = {"model": model.pk, "fresh": int_array(fresh), "keys": int_array(keys[0]), "holders": int_array(keys[1])}
    return KEEP, given


def store_keys(*, model: MatchModel, rules: Iterable[Rule], table: Table, ids: Array) -> int:
    """Replace the block keys of a model by those of a table, and return how many there are.

    Parameters
    ----------
    ids : numpy.ndarray of int
        The profile of each row of the table, ascending.

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
        cursor.execute("DELETE FROM profiles_matchkeylist WHERE model_id = %s", [model.pk])
        # Django turns the driver's errors into its own for `execute`, but not for COPY.
        with connection.wrap_database_errors:
            for part in range(-PARTS // 2, PARTS // 2):
                places = np.nonzero(part_of == part)[0]
                places = places[np.lexsort((rows[places], keys[places]))]
                places = _once(keys, rows, places)
                cursor.copy_expert(COPY, io.BytesIO(_lines(model.pk, keys[places], ids[rows[places]])))
            del part_of
            order = np.lexsort((keys, rows))
            keys, rows = keys[order], rows[order]
            for start in range(0, len(ids), LISTS_AT_ONCE):
                first, last = np.searchsorted(rows, [start, start + LISTS_AT_ONCE])
                lists = _lists(model.pk, keys[first:last], ids[rows[first:last]])
                cursor.copy_expert(COPY_LISTS, io.BytesIO(lists))
    return len(keys)


def _slim(rows: Array, hashes: Array) -> tuple[Array, Array]:
    """Return the (row, key) of blocks within the cap."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.concatenate([[0], np.nonzero(ordered[1:] != ordered[:-1])[0] + 1, [len(ordered)]])
    sizes = np.diff(starts)
    kept = order[np.repeat(sizes <= MOST_IN_BLOCK, sizes)] if len(ordered) else order
    return rows[kept].astype(np.int32), hashes[kept]


def _once(keys: Array, rows: Array, places: Array) -> Array:
    """Return the places, in which equal ones follow each other, without those that repeat the one before."""
    if not len(places):
        return places
    ours, theirs = places[1:], places[:-1]
    return places[np.append(True, (keys[ours] != keys[theirs]) | (rows[ours] != rows[theirs]))]


def _lines(model_id: int, keys: Array, profile_ids: Array) -> bytes:
    lines = np.empty(len(keys), LINE)
    lines["fields"], lines["model_length"], lines["key_length"], lines["profile_length"] = 3, 4, 8, 8
    lines["model"], lines["key"], lines["profile"] = model_id, keys, profile_ids
    return HEAD + lines.tobytes() + END


def _lists(model_id: int, keys: Array, profile_ids: Array) -> bytes:
    """Return a line per profile; its keys stand together."""
    if not len(keys):
        return HEAD + END
    starts, sizes = blocks_of(profile_ids)
    heads = np.empty(len(starts), LIST)
    heads["fields"], heads["model_length"], heads["model"], heads["profile_length"] = 3, 4, model_id, 8
    heads["profile"], heads["number"] = profile_ids[starts], sizes
    heads["keys_length"] = HEAD_OF_ARRAY + sizes * ELEMENT.itemsize
    heads["dimensions"], heads["nulls"], heads["element"], heads["first"] = 1, 0, BIGINT, 1
    elements = np.empty(len(keys), ELEMENT)
    elements["length"], elements["key"] = 8, keys
    # Heads and elements in one piece: where each head goes is known from the sizes before it.
    ends = np.cumsum(LIST.itemsize + sizes * ELEMENT.itemsize)
    begins = ends - LIST.itemsize - sizes * ELEMENT.itemsize
    made = np.empty(int(ends[-1]), np.uint8)
    is_head = np.zeros(len(made), bool)
    is_head[(begins[:, None] + np.arange(LIST.itemsize)).ravel()] = True
    made[is_head] = np.frombuffer(heads.tobytes(), np.uint8)
    made[~is_head] = np.frombuffer(elements.tobytes(), np.uint8)
    return HEAD + made.tobytes() + END
