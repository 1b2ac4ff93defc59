"""The definition of a computed trait → one SQL statement, laid out as those of segments."""

import json
from datetime import datetime

from segments.language.compile import Compiled, from_sql, with_sources
from segments.language.computations import TraitDefinition
from segments.language.plan import Frame, Plan, Setting
from segments.language.scoring import as_json


def compile_trait(
    definition: TraitDefinition,
    *,
    now: datetime,
    setting: Setting | None = None,
    some: bool = False,
) -> Compiled:
    """Compile a definition to the statement that computes the trait.

    Parameters are those of `compile_segment`.

    Returns
    -------
    Compiled
        Columns `profile_id`, `value` (jsonb, null where it is the default) and `next_at`; rows that have neither a
        value nor a next instant are left out.
    """
    plan = Plan(
        now=now,
        setting=setting or Setting(),
        some=some,
        timed=True,
    )
    frame = Frame(plan, definition.timezone)
    column = definition.compute.column(frame)
    value = column.value
    if definition.compute.default is not None:
        value = f"nullif({value}, {plan.bind(json.dumps(as_json(definition.compute.default)), 'default')}::jsonb)"
    next_at = column.next_at or "null::timestamptz"
    plan.sources["leaves"] = lambda: (
        f"select p.id as profile_id, {value} as value, {next_at} as next_at\n"
        f"    {from_sql(plan)}\n    where not p.restricted{plan.only('p.id')}"
    )
    body = "select profile_id, value, next_at\nfrom leaves\nwhere value is not null or next_at is not null"
    return Compiled(with_sources(plan, body), plan.parameters, definition.compute.runs_at(frame))
