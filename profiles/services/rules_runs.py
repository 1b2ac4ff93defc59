"""Runs of rules: what they would do to all that is stored (dry), or doing it (apply), in bounded steps of a job.

A dry run reads without any lock. A step that applies holds the lock `IDENTITY` for some tenths of a second; its effect
and its progress commit together, so a worker that dies half way loses and repeats nothing.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.models import Job
from cdp.core.registries import MergePair, SplitPair
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from profiles.errors import NoSuchRun, NotQuarantined
from profiles.identity.rules import RuleSet, parse_rules, write_rules
from profiles.models import Identifier, IdentitySettings, QuarantinedValue, RulesExample, RulesRun, RulesRunValue
from profiles.queries.rules import read_types, rule_set, version_in_force
from profiles.services.quarantining import NOTE
from profiles.services.rearranging import carry_out
from profiles.services.replanning import Plan, Trial, make_plan
from profiles.services.rules_selection import disallowed_sources, make_trial, select_work

RUN_JOB = "profiles.rules-run"
Status = RulesRun.Status
Change = RulesRunValue.Change
DRY_CHUNK = 3_000
LEAST_CHUNK, MOST_CHUNK = 10, 1_000
# The lock of identities is held about so long by a step that applies.
SLOW_SECONDS, QUICK_SECONDS = 0.15, 0.06
PAUSE = timedelta(seconds=1)
MOST_EXAMPLES = 200
MOST_OF_EXAMPLE = 20
KEPT_DAYS = 14
KINDS = ("merge", "split", "refuse", "quarantine", "lift", "block")

TAKE = """
DELETE FROM profiles_rulesrunprofile WHERE id IN (
    SELECT id FROM profiles_rulesrunprofile WHERE run_id = %s ORDER BY profile_id LIMIT %s
) RETURNING profile_id
"""
FORGET = "DELETE FROM profiles_rulesrunprofile WHERE run_id = %s AND profile_id = ANY(%s::bigint[])"
ADD = """
INSERT INTO profiles_rulesrunprofile (run_id, profile_id) SELECT %s, p FROM unnest(%s::bigint[]) AS p
ON CONFLICT (run_id, profile_id) DO NOTHING
"""
FOLLOW = """
INSERT INTO profiles_rulesrunprofile (run_id, profile_id)
SELECT DISTINCT r.run_id, t.new FROM unnest(%s::bigint[], %s::bigint[]) AS t(old, new)
JOIN profiles_rulesrunprofile r ON r.profile_id = t.old
ON CONFLICT (run_id, profile_id) DO NOTHING
"""
ENTER = """
INSERT INTO profiles_quarantinedvalue (identifier_id, type_id, reason, asserted_by, sharing_limit, quarantined_at,
    actor, separated_at)
SELECT v.identifier_id, i.type_id, CASE WHEN v.change = %(block)s THEN 'blocked' ELSE 'shared' END, v.asserted_by,
    CASE WHEN v.change = %(block)s THEN NULL ELSE y.sharing_limit END, %(now)s, %(actor)s, %(now)s
FROM profiles_rulesrunvalue v JOIN profiles_identifier i ON i.id = v.identifier_id
JOIN profiles_identifiertype y ON y.id = i.type_id
WHERE v.run_id = %(run)s AND v.change <> %(lift)s
ON CONFLICT (identifier_id) DO UPDATE SET reason = excluded.reason, lifted_at = NULL, lifted_by = '',
    quarantined_at = excluded.quarantined_at, separated_at = excluded.separated_at, actor = excluded.actor
"""
LEAVE = """
DELETE FROM profiles_quarantinedvalue q USING profiles_rulesrunvalue v
WHERE v.run_id = %(run)s AND v.change = %(lift)s AND q.identifier_id = v.identifier_id
"""
MARK = """
UPDATE profiles_identifier i SET quarantined = v.change <> %(lift)s FROM profiles_rulesrunvalue v
WHERE v.run_id = %(run)s AND i.id = v.identifier_id
"""
UUIDS = "SELECT id, uuid::text FROM profiles_profile WHERE id = ANY(%s::bigint[])"
VALUE_EXAMPLES = """
SELECT v.change, v.asserted_by, y.key, p.uuid::text FROM profiles_rulesrunvalue v
JOIN profiles_identifier i ON i.id = v.identifier_id JOIN profiles_identifiertype y ON y.id = i.type_id
JOIN profiles_profile p ON p.id = i.profile_id
WHERE v.run_id = %s AND v.change = %s ORDER BY v.asserted_by DESC, v.id LIMIT %s
"""


def start_run(
    *, kind: RulesRun.Kind, version: int, before: RuleSet, after: RuleSet, actor: str, now: datetime
) -> RulesRun:
    """Make a run, within the caller's transaction; a job does it."""
    run = RulesRun.objects.create(
        kind=kind,
        version=version,
        before=write_rules(before),
        after=write_rules(after),
        counts=dict.fromkeys(KINDS, 0),
        actor=actor,
        created_at=now,
    )
    enqueue(kind=RUN_JOB, arguments={"run": run.pk}, now=now)
    return run


def get_run(*, run_id: int) -> RulesRun:
    """Return a run.

    Raises
    ------
    NoSuchRun
        None has this id, or its time is up.
    """
    run = RulesRun.objects.filter(pk=run_id).first()
    if run is None:
        message = f"No run has this id. Runs are kept {KEPT_DAYS} days."
        raise NoSuchRun(message)
    return run


def cancel_dry_run(*, run_id: int, now: datetime) -> RulesRun:
    """Stop a dry run; one that is over, or that applies rules, stays as it is."""
    get_run(run_id=run_id)
    with transaction.atomic():
        run = RulesRun.objects.select_for_update().get(pk=run_id)
        if run.kind == RulesRun.Kind.DRY and run.status in {Status.SELECTING, Status.RUNNING}:
            _end(run, Status.CANCELLED, now)
            run.save()
    return run


def step_run(job: Job) -> bool:
    """Do one step of a run; True once it is over."""
    run = RulesRun.objects.select_for_update().filter(pk=job.arguments["run"]).first()
    if run is None or run.status not in {Status.SELECTING, Status.RUNNING}:
        return True
    now = timezone.now()
    applies = run.kind == RulesRun.Kind.APPLY
    unfinished = RulesRun.objects.filter(kind=RulesRun.Kind.APPLY, pk__lt=run.pk)
    if applies and unfinished.filter(status__in=[Status.SELECTING, Status.RUNNING]).exists():
        # Versions are applied one after the other.
        job.run_at = now + PAUSE
        return False
    began_at = time.monotonic()
    with connection.cursor() as cursor:
        if run.status == Status.SELECTING:
            _select(cursor, run, now, applies=applies)
        else:
            _look(cursor, run, now, applies=applies)
    spent = int(1000 * (time.monotonic() - began_at))
    run.busy_ms += spent
    run.save()
    return run.status not in {Status.SELECTING, Status.RUNNING}


def _select(cursor: Any, run: RulesRun, now: datetime, *, applies: bool) -> None:
    before, after, types = _rules_of(run)
    select_work(cursor, run, before, after, types)
    values = {"run": run.pk, "lift": Change.LIFT.value, "block": Change.BLOCK.value, "now": now, "actor": run.actor}
    if applies and RulesRunValue.objects.filter(run=run).exists():
        locks.take(cursor, locks.IDENTITY)
        cursor.execute(ENTER, values)
        cursor.execute(LEAVE, values)
        cursor.execute(MARK, values)
        entered = RulesRunValue.objects.filter(run=run).exclude(change=Change.LIFT)
        cursor.execute(
            NOTE,
            {
                "ids": int_array(entered.values_list("identifier_id", flat=True)),
                "most": MOST_OF_EXAMPLE,
                "now": now,
                "rule": rule_of(run),
            },
        )
    for change, name in ((Change.QUARANTINE, "quarantine"), (Change.LIFT, "lift"), (Change.BLOCK, "block")):
        run.counts[name] = RulesRunValue.objects.filter(run=run, change=change).count()
        cursor.execute(VALUE_EXAMPLES, [run.pk, change.value, MOST_EXAMPLES])
        RulesExample.objects.bulk_create(
            RulesExample(
                run=run, kind=name, profile_uuids=[public_id], detail={"type": key, "asserted_by": asserted_by}
            )
            for _, asserted_by, key, public_id in cursor.fetchall()
        )
    run.total = run.waiting.count()
    run.chunk = DRY_CHUNK if not applies else LEAST_CHUNK * 10
    run.status = Status.RUNNING
    if not run.total:
        _end(run, Status.DONE, now)


def _look(cursor: Any, run: RulesRun, now: datetime, *, applies: bool) -> None:
    if applies:
        locks.take(cursor, locks.IDENTITY)
    held_at = time.monotonic()
    cursor.execute(TAKE, [run.pk, run.chunk])
    taken = [row[0] for row in cursor.fetchall()]
    if not taken:
        run.done = run.total
        _end(run, Status.DONE, now)
        return
    before, after, types = _rules_of(run)
    trial = make_trial(after, before, types, run_id=0 if applies else run.pk)
    if run.position.get("reconsiders"):
        trial = Trial(trial.rules, True, trial.disallowed, trial.purposes, trial.run_id)
    plan = make_plan(cursor, taken, trial)
    counts = Counter(run.counts)
    counts.update({"merge": plan.merged, "split": plan.split, "refuse": len(plan.left_out)})
    _keep_examples(cursor, run, plan)
    run.counts = dict(counts)
    cursor.execute(FORGET, [run.pk, int_array(plan.profile_ids)])
    run.done += len(taken) + cursor.rowcount
    if applies:
        done = carry_out(cursor, plan, rule=rule_of(run), now=now, actor=run.actor)
        if not done.is_whole:
            # What is left of a large profile counts with the step that does it.
            counts.update({"merge": -plan.merged, "split": done.split - plan.split})
            run.counts = dict(counts)
            cursor.execute(ADD, [run.pk, int_array(sorted({part.profile_id for part in plan.parts}))])
        held = time.monotonic() - held_at
        run.longest_ms = max(run.longest_ms, int(1000 * held))
        if held > SLOW_SECONDS:
            run.chunk = max(LEAST_CHUNK, run.chunk // 2)
        elif held < QUICK_SECONDS:
            run.chunk = min(MOST_CHUNK, run.chunk * 2)


def rule_of(run: RulesRun) -> str:
    """Return what the ledger names as the reason for what a run did."""
    return run.position.get("rule") or f"rules version {run.version}"


def _rules_of(run: RulesRun) -> tuple[RuleSet, RuleSet, dict[str, int]]:
    before, _ = parse_rules(run.before)
    after, _ = parse_rules(run.after)
    return before, after, {row.key: row.pk for row in read_types()}


def _end(run: RulesRun, status: Status, now: datetime) -> None:
    run.status = status
    run.finished_at = now
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM profiles_rulesrunprofile WHERE run_id = %s", [run.pk])
        cursor.execute("DELETE FROM profiles_rulesrunvalue WHERE run_id = %s", [run.pk])


def _keep_examples(cursor: Any, run: RulesRun, plan: Plan) -> None:
    """Keep some of what a step found, with the profiles' public ids as they are now."""
    room = {kind: max(MOST_EXAMPLES - run.counts[kind], 0) for kind in ("merge", "split", "refuse")}
    found: list[tuple[str, list[int], dict[str, Any]]] = []
    for together in plan.joined[: room["merge"]]:
        found.append(("merge", sorted({plan.profile_of[one] for one in together}), {}))
    parts: Counter[int] = Counter(part.profile_id for part in plan.parts if not part.is_muted)
    for profile_id, count in list(parts.items())[: room["split"]]:
        found.append(("split", [profile_id], {"parts": count + 1}))
    for one, _ in plan.left_out[: room["refuse"]]:
        found.append(("refuse", [plan.profile_of[one.id]], {"reason": one.reason}))
    if not found:
        return
    cursor.execute(UUIDS, [int_array({one for _, ids, _ in found for one in ids[:MOST_OF_EXAMPLE]})])
    uuids = dict(cursor.fetchall())
    RulesExample.objects.bulk_create(
        RulesExample(
            run=run,
            kind=kind,
            profile_uuids=[uuids[one] for one in ids[:MOST_OF_EXAMPLE] if one in uuids],
            detail={**detail, "profiles": len(ids)},
        )
        for kind, ids, detail in found
    )


def release_quarantined(job: Job) -> bool:
    """Take apart what values in quarantine had joined, some at a time; True once none waits."""
    del job
    now = timezone.now()
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        waiting = QuarantinedValue.objects.filter(separated_at__isnull=True, lifted_at__isnull=True)
        rows = dict(waiting.order_by("pk").values_list("pk", "identifier__profile_id")[:LEAST_CHUNK])
        if not rows:
            return True
        plan = make_plan(cursor, set(rows.values()), _trial_of_now())
        if carry_out(cursor, plan, rule="quarantine", now=now).is_whole:
            QuarantinedValue.objects.filter(pk__in=rows).update(separated_at=now)
    return False


def _trial_of_now() -> Trial:
    types = read_types()
    rules = rule_set(types)
    ids = {row.key: row.pk for row in types}
    return Trial(
        {ids[key]: one.resolving(ids[key]) for key, one in rules.items()}, disallowed=disallowed_sources(rules, ids)
    )


def lift_quarantine(*, identifier_id: int, actor: str, now: datetime) -> RulesRun:
    """Let a value join again, and never quarantine it by itself any more; a run joins what had asserted it.

    Raises
    ------
    NotQuarantined
        It is not in quarantine.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        row = QuarantinedValue.objects.filter(pk=identifier_id, lifted_at__isnull=True).select_related("type").first()
        if row is None or row.reason == QuarantinedValue.Reason.BLOCKED:
            message = "No value in quarantine has this id, or its rules block it: change the rules of its type then."
            raise NotQuarantined(message)
        QuarantinedValue.objects.filter(pk=row.pk).update(lifted_at=now, lifted_by=actor)
        cursor.execute(
            "UPDATE profiles_identifier SET quarantined = false, may_be_shared = true WHERE id = %s", [row.pk]
        )
        rules = rule_set(read_types())
        run = start_run(
            kind=RulesRun.Kind.APPLY, version=version_in_force(), before=rules, after=rules, actor=actor, now=now
        )
        cursor.execute(ASSERTERS_OF, {"run": run.pk, "value": row.pk})
        run.position = {"reconsiders": True, "rule": "quarantine lifted"}
        run.status = Status.RUNNING
        run.total = run.waiting.count()
        run.chunk = LEAST_CHUNK * 10
        run.save()
        audit.record(
            actor=actor,
            action="quarantine.lifted",
            object=f"identifier:{row.pk}",
            detail={"type": row.type.key, "asserted_by": row.asserted_by},
            now=now,
        )
    return run


ASSERTERS_OF = """
INSERT INTO profiles_rulesrunprofile (run_id, profile_id)
SELECT DISTINCT %(run)s::bigint, o.profile_id FROM (
    SELECT %(value)s::bigint AS id
    UNION SELECT e.b FROM profiles_edge e WHERE e.a = %(value)s AND e.state = 4
    UNION SELECT e.a FROM profiles_edge e WHERE e.b = %(value)s AND e.state = 4
) AS t JOIN profiles_identifier o ON o.id = t.id
"""


class RunsFollow:
    """What a run has still to look at follows merges and splits that happen meanwhile."""

    name = "rules_runs"

    def on_merge(self, *, pairs: Sequence[MergePair], now: datetime) -> None:
        """Look at the profile that goes on."""
        del now
        self._follow((pair.dropped_id, pair.kept_id) for pair in pairs)

    def on_split(self, *, pairs: Sequence[SplitPair], now: datetime) -> None:
        """Look at both sides."""
        del now
        self._follow((pair.from_id, pair.to_id) for pair in pairs)

    @staticmethod
    def _follow(pairs: Iterable[tuple[int, int]]) -> None:
        both = list(pairs)
        with connection.cursor() as cursor:
            cursor.execute(FOLLOW, [int_array(old for old, _ in both), int_array(new for _, new in both)])


def prepare_sharing_limits() -> None:
    """Once, after an upgrade: look for values that were shared too much before the limits were heeded."""
    now = timezone.now()
    with transaction.atomic():
        settings, _ = IdentitySettings.objects.select_for_update().get_or_create(id=1)
        if settings.sharing_counted:
            return
        settings.sharing_counted = True
        settings.save(update_fields=["sharing_counted"])
        if not Identifier.objects.exists():
            return
        after = rule_set(read_types())
        before = {key: replace(one, sharing_limit=None) for key, one in after.items()}
        run = start_run(
            kind=RulesRun.Kind.APPLY, version=settings.version, before=before, after=after, actor="system", now=now
        )
        RulesRun.objects.filter(pk=run.pk).update(position={"rule": "sharing limit"})


def forget_runs(now: datetime) -> None:
    """Delete runs whose time is up, with their examples, and quarantines of identifiers that are gone."""
    QuarantinedValue.objects.filter(~Exists(Identifier.objects.filter(pk=OuterRef("pk")))).delete()
    old = RulesRun.objects.filter(finished_at__lt=now - timedelta(days=KEPT_DAYS))
    RulesExample.objects.filter(run__in=old).delete()
    old.delete()
