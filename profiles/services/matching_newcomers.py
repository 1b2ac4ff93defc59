"""New and changed profiles are compared with all others, within seconds. Imported by the worker of matching only.

Block keys of everybody lie in `profiles_matchkey` since the last run; who shares one with a newcomer is scored, likely
pairs go into the review queue, and the clusters that they touch are made anew (`matching_components`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection

from cdp.core.copying import int_array
from profiles.matching.blocking import MOST_IN_BLOCK
from profiles.matching.features import compare
from profiles.matching.model import TrainedModel, read_model
from profiles.matching.spec import ModelSpec
from profiles.matching_models import MatchModel, MatchRun
from profiles.queries.matching_records import (
    Records,
    barred_from_matching,
    read_some,
    read_who_share,
    source_ids,
)
from profiles.services.matching_components import cluster_anew, load_decided
from profiles.services.matching_frequencies import read_frequencies, table_as_all
from profiles.services.matching_gone import Part, forget_gone_and_go_on, write_together
from profiles.services.matching_keys import keep_keys, keys_of
from profiles.services.matching_learning import table_of
from profiles.services.matching_models import spec_of, start_match_run
from profiles.services.matching_queue import REVIEW, explain, queued
from profiles.services.matching_versions import read_version

AT_ONCE = 300
# Changes count once they are this old: a batch that is still to be committed has an earlier number.
SETTLED = timedelta(seconds=10)
LOOKED_BACK = timedelta(days=2)
# A run of everybody takes as long as so many newcomers, or such a share of all: beyond it, a run is faster.
MOST_BEHIND, SHARE_BEHIND = 2_000, 0.05
# After so many changes, or so many for each profile, what is rare is counted anew, by a run too.
MOST_SINCE, EACH_SINCE = 10_000, 0.5
CHANGES_EACH = 4  # at most looked at for each profile that may be behind

CHANGED = """
SELECT c.id, c.profile_id,
    (SELECT digest FROM profiles_matchversion WHERE model_id = %(model)s AND version = %(version)s),
    (SELECT id FROM profiles_matchrun WHERE model_id = %(model)s AND status = 'done' AND engine = 'dedupe'
        ORDER BY id DESC LIMIT 1)
FROM profiles_change c WHERE c.id > %(seen)s AND c.at > %(since)s AND c.at <= %(until)s
    AND c.kind IN (1, 2, 3, 4, 5, 6) ORDER BY c.id LIMIT %(most)s
"""
BEHIND = """
SELECT count(DISTINCT profile_id) FROM (
    SELECT profile_id FROM profiles_change
    WHERE id > %s AND at > %s AND at <= %s AND kind IN (1, 2, 3, 4, 5, 6) ORDER BY id LIMIT %s
) c
"""
MISSED = """
SELECT EXISTS (SELECT FROM profiles_change
    WHERE id > %s AND at > %s AND at <= %s AND kind IN (1, 2, 3, 4, 5, 6))
"""
OF_SOURCES = """
SELECT DISTINCT profile_id FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[]) AND source_id = ANY(%s::int[])
"""
LET_GO = """
UPDATE profiles_matchcandidate SET state = 'gone', decided_at = %(now)s WHERE model_id = %(model)s AND state = 'open'
    AND ("left" = ANY(%(gone)s::bigint[]) OR "right" = ANY(%(gone)s::bigint[]))
"""
LEAVE_RUNS = """
DELETE FROM profiles_matchedrecord r USING profiles_matchrun m
WHERE m.id = r.run_id AND m.model_id = %(model)s AND r.profile_id = ANY(%(gone)s::bigint[])
"""
FORGET_PAIRS = """
DELETE FROM profiles_matchedpair p USING profiles_matchrun m WHERE m.id = p.run_id AND m.model_id = %(model)s
    AND (p."left" = ANY(%(gone)s::bigint[]) OR p."right" = ANY(%(gone)s::bigint[]))
"""

_trained: dict[int, tuple[bytes, TrainedModel]] = {}


def match_newcomers(*, model: MatchModel, now: datetime) -> int:
    """Compare some profiles that changed since the last time; return how many changes were read."""
    with connection.cursor() as cursor:
        cursor.execute(CHANGED, _wanted(model, now))
        rows = cursor.fetchall()
    if not rows:
        return 0
    if len(rows) == AT_ONCE and _needs_run(model, now):
        start_match_run(model=model, apply=False, actor="system", now=now)
        return 0
    spec = spec_of(model)
    last, _, digest, run = rows[-1]
    looked_at: set[int] = set()
    sources = list(source_ids(spec.sources).values()) if spec.sources else None
    fresh = _of_sources(sources, sorted({row[1] for row in rows}))
    if fresh and digest is not None and (run is not None or model.followed_run_id is not None):
        trained = _load_model(model, bytes(digest))
        looked_at = _compare(model, spec, sources, trained, run, fresh, now)
    elif fresh:
        _let_go_of_barred(model, fresh, now)
    forget_gone_and_go_on(model=model, ids=sorted(looked_at), change=last)
    return len(rows)


def match_missed(*, model: MatchModel, now: datetime) -> bool:
    """Have everybody matched anew if some changed since the last run and so long ago that no look finds them any more.

    The worker may have been off for days.
    """
    last = MatchRun.objects.filter(model=model, engine=MatchRun.Engine.DEDUPE).order_by("-id").first()
    if last is None or last.status != MatchRun.Status.DONE or model.live_version is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(MISSED, [model.matched_change_id, last.started_at or last.created_at, now - LOOKED_BACK])
        missed: bool = cursor.fetchone()[0]
    if missed:
        start_match_run(model=model, apply=False, actor="system", now=now)
    return missed


def _wanted(model: MatchModel, now: datetime) -> dict[str, Any]:
    """Return the parameters of `CHANGED`."""
    return {
        "model": model.pk,
        "version": model.live_version,
        "seen": model.matched_change_id,
        "since": now - LOOKED_BACK,
        "until": now - SETTLED,
        "most": AT_ONCE,
    }


def _needs_run(model: MatchModel, now: datetime) -> bool:
    """Tell whether so many wait, or came since the last run, that everybody is better matched anew."""
    last = MatchRun.objects.filter(model=model, engine=MatchRun.Engine.DEDUPE).order_by("-id").first()
    if last is None or last.status != MatchRun.Status.DONE:
        # One waits already, or failed: then newcomers go on as they did.
        return False
    known = read_frequencies(model)
    if model.matched_change_id - known.seen > max(MOST_SINCE, EACH_SINCE * known.size):
        return True
    most = int(max(MOST_BEHIND, SHARE_BEHIND * known.size))
    with connection.cursor() as cursor:
        given: list[Any] = [model.matched_change_id, now - LOOKED_BACK, now - SETTLED, CHANGES_EACH * most]
        cursor.execute(BEHIND, given)
        behind: int = cursor.fetchone()[0]
    return behind >= most


def _of_sources(sources: list[int] | None, profile_ids: Sequence[int]) -> list[int]:
    if sources is None:
        return list(profile_ids)
    with connection.cursor() as cursor:
        cursor.execute(OF_SOURCES, [int_array(profile_ids), sources])
        return [row[0] for row in cursor.fetchall()]


def _load_model(model: MatchModel, digest: bytes) -> TrainedModel:
    """Return the live version; what this process has read and checked once is known by its digest."""
    known = _trained.get(model.pk)
    if known is None or known[0] != digest:
        stored = read_version(model=model, version=model.live_version or 0)
        _trained[model.pk] = known = digest, read_model(stored)
    return known[1]


def _let_go_of_barred(model: MatchModel, fresh: list[int], now: datetime) -> None:
    """Take whoever may not be matched any more out of what Splink found, to which nobody is compared."""
    barred = barred_from_matching(fresh)
    if barred:
        given = {"model": model.pk, "now": now, "gone": int_array(barred)}
        write_together([(statement, given) for statement in (LET_GO, LEAVE_RUNS, FORGET_PAIRS)])


def _compare(  # noqa: PLR0913 - the model in its parts, and who came
    model: MatchModel,
    spec: ModelSpec,
    sources: list[int] | None,
    trained: TrainedModel,
    run: int | None,
    fresh: list[int],
    now: datetime,
) -> set[int]:
    """Compare newcomers with all others; return of whom something was written."""
    traits = [field.trait for field in spec.fields]
    read = read_some(traits=traits, ids=fresh, sources=sources)
    keys = keys_of(trained, table_of(spec, read), read.ids)
    others, pairs = read_who_share(
        model_id=model.pk,
        keys=keys[0],
        holders=keys[1],
        fresh=fresh,
        traits=traits,
        sources=sources,
        most=MOST_IN_BLOCK,
    )
    barred = barred_from_matching({*read.ids, *others.ids})
    newcomers, others = read.without(barred), others.without(barred)
    if barred:
        kept_keys = [(key, holder) for key, holder in zip(*keys, strict=True) if holder not in barred]
        keys = [key for key, _ in kept_keys], [holder for _, holder in kept_keys]
    near: list[tuple[int, int, float]] = []
    some = None
    review: list[Part] = []
    if pairs:
        records = _all_of(newcomers, others, pairs)
        table = table_as_all(model, spec, records)
        ids = np.asarray(records.ids, np.int64)
        found = np.array(pairs, np.int64)
        found = np.searchsorted(ids, found[np.isin(found, ids).all(axis=1)])
        matrix = compare(table, found[:, 0], found[:, 1])
        likely = trained.weights.probabilities(matrix)
        kept = np.nonzero(likely >= trained.threshold / 2)[0]
        # Many newcomers are like nobody: nothing more is asked about them.
        if len(kept):
            some = load_decided(model, spec, records, table)
            kept = kept[~some.guard(found[kept, 0], found[kept, 1])]
            triples = [(int(found[one, 0]), int(found[one, 1]), float(likely[one])) for one in kept]
            near = [(records.ids[a], records.ids[b], likely) for a, b, likely in triples]
            if triples:
                review.append((REVIEW, queued(model, records, triples, explain(trained, matrix[kept]), now)))
    changes: list[Part] = []
    if run is not None:
        changes = cluster_anew(
            run=run,
            model=model,
            spec=spec,
            trained=trained,
            fresh=fresh,
            there=newcomers.ids,
            pairs=near,
            loaded=some,
        )
    gone = set(fresh) - set(newcomers.ids)
    if gone:
        # They objected, or are restricted: nobody is to decide about them.
        review.append((LET_GO, {"model": model.pk, "now": now, "gone": int_array(gone)}))
    write_together([*changes, *review, keep_keys(model, keys, fresh)])
    return {*fresh, *(one for pair in pairs for one in pair)}


def _all_of(newcomers: Records, others: Records, pairs: list[tuple[int, int]]) -> Records:
    """Return the records of pairs by their ids, each once."""
    known, wanted = set(newcomers.ids), {one for pair in pairs for one in pair}
    rows = [row for row in newcomers.lines() if row[0] in wanted]
    rows += [row for row in others.lines() if row[0] not in known]
    found = Records([], [], [], [], [[] for _ in newcomers.columns])
    found.add(sorted(rows, key=lambda row: row[0]))
    return found
