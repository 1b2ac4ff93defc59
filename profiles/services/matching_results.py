"""What a matching run found, kept: the cluster of each record, and likely pairs."""

import numpy as np
from django.db import connection, transaction

from cdp.core.copying import copy_rows
from profiles.matching.model import Scored
from profiles.matching.spec import ModelSpec
from profiles.matching_models import MatchRun
from profiles.queries.matching_records import Records, read_record_ids

# Pairs less likely than this are not kept.
LEAST_KEPT = 0.05
LINES_AT_ONCE = 100_000


def store_found(run: MatchRun, spec: ModelSpec, records: Records, scored: Scored) -> int:
    """Keep clusters and likely pairs; return how many records there are, those of one profile counted each."""
    clusters = dict(zip(records.ids, scored.clusters.tolist(), strict=True))
    named: set[int] = set()
    count = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, len(records.ids), LINES_AT_ONCE):
            part = records.ids[start : start + LINES_AT_ONCE]
            held = read_record_ids(profile_ids=part, sources=spec.sources)
            lines = [f"{run.pk}\t{node}\t{profile}\t{clusters[profile]}\n" for node, profile, _ in held]
            named.update(profile for _, profile, _ in held)
            lines += [f"{run.pk}\t\\N\t{profile}\t{clusters[profile]}\n" for profile in part if profile not in named]
            copy_rows(cursor, "profiles_matchedrecord", "run_id, node, profile_id, cluster", lines)
            count += len(lines)
        kept = np.nonzero(scored.probability >= LEAST_KEPT)[0]
        ids = np.asarray(records.ids, np.int64)
        for start in range(0, len(kept), LINES_AT_ONCE):
            places = kept[start : start + LINES_AT_ONCE]
            left, right = ids[scored.candidates.left[places]], ids[scored.candidates.right[places]]
            likely = scored.probability[places]
            lines = [
                f"{run.pk}\t{a}\t{b}\t{p:.6f}\n"
                for a, b, p in zip(left.tolist(), right.tolist(), likely.tolist(), strict=True)
            ]
            copy_rows(cursor, "profiles_matchedpair", 'run_id, "left", "right", probability', lines)
    return count
