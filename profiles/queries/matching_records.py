"""The records that a matching model speaks of: unrestricted profiles, with the identifiers of their imported records.

The unit of matching is the profile: records that exact rules have joined are one already. A profile without imported
records of the model's sources stands for itself.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from cdp.core.copying import int_array, text_array
from cdp.core.registries import matching_checks, source_keys
from profiles.queries.sealed import find_sealed_names

RECORD_TYPE = "record_id"
AT_ONCE = 20_000

# A user id names the person whichever source told it.
OF_SOURCES = """
SELECT p.id, min(i.source_id), min(i.id), EXISTS (SELECT FROM profiles_identifier u
    WHERE u.profile_id = p.id AND u.type_id = (SELECT id FROM profiles_identifiertype WHERE key = 'user_id')), {traits}
FROM profiles_profile p JOIN profiles_identifier i ON i.profile_id = p.id
WHERE NOT p.restricted AND i.source_id = ANY(%(sources)s::int[]) GROUP BY p.id ORDER BY p.id
"""
OF_ALL = """
SELECT p.id, 0, (SELECT min(i.id) FROM profiles_identifier i WHERE i.profile_id = p.id),
    EXISTS (SELECT FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
        WHERE i.profile_id = p.id AND t.key = 'user_id'), {traits}
FROM profiles_profile p WHERE NOT p.restricted ORDER BY p.id
"""
# `{traits}` reads what is stored encrypted, and cannot be compared, as missing (`show_traits`).
ONE = "p.id, coalesce(h.source_id, 0), h.node, coalesce(h.has_user, false), {traits}"
# As `OF_SOURCES` and `OF_ALL`: a profile has one source and one identifier in a model, whoever reads it.
OF_ONE = """
CROSS JOIN LATERAL (
    SELECT min(i.source_id) FILTER (WHERE %(all)s OR i.source_id = ANY(%(sources)s::int[])) AS source_id,
        min(i.id) FILTER (WHERE %(all)s OR i.source_id = ANY(%(sources)s::int[])) AS node,
        bool_or(i.type_id = (SELECT id FROM profiles_identifiertype WHERE key = 'user_id')) AS has_user
    FROM profiles_identifier i WHERE i.profile_id = p.id
) h CROSS JOIN (
    SELECT coalesce(array_agg(name), '{{}}') AS names FROM profiles_sealedtrait WHERE opened_at IS NULL
) sealed WHERE NOT p.restricted
"""
OF_SOME = f"SELECT {ONE} FROM profiles_profile p {OF_ONE} AND p.id = ANY(%(ids)s::bigint[]) ORDER BY p.id"
# Blocks as they will be: of newcomers (`fresh`) their keys of now count, not those that are stored. A block past the
# cap is read up to the cap only, and its members do not come here at all.
WHO_SHARE = f"""
WITH wanted AS MATERIALIZED (
    SELECT key, array_agg(DISTINCT holder) AS holders
    FROM unnest(%(keys)s::bigint[], %(holders)s::bigint[]) AS t(key, holder) GROUP BY key
), sharing AS MATERIALIZED (
    SELECT o.id, array_agg(DISTINCT n.id) AS ones FROM wanted w CROSS JOIN LATERAL (
        SELECT array_agg(profile_id) AS others, count(*) AS number FROM (
            SELECT profile_id FROM profiles_matchkey
            WHERE model_id = %(model)s AND key = w.key AND profile_id <> ALL(%(fresh)s::bigint[]) LIMIT %(most)s
        ) k
    ) b CROSS JOIN LATERAL unnest(b.others || w.holders) AS o(id) CROSS JOIN LATERAL unnest(w.holders) AS n(id)
    WHERE b.number + cardinality(w.holders) <= %(most)s AND o.id <> n.id GROUP BY o.id
)
SELECT {ONE}, s.ones FROM sharing s JOIN profiles_profile p ON p.id = s.id {OF_ONE} ORDER BY p.id
"""
RECORDS = """
SELECT i.id, i.profile_id, i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE t.key = 'record_id' AND i.profile_id = ANY(%(ids)s::bigint[])
    AND (%(all)s OR i.source_id = ANY(%(sources)s::int[])) ORDER BY i.id
"""
# Per pair of records that people gave answers for: how many more said "same" than said "different".
VOTES = """
SELECT i.profile_id, j.profile_id,
    count(*) FILTER (WHERE l.answer = 'same') - count(*) FILTER (WHERE l.answer = 'different')
FROM profiles_matchlabel l JOIN profiles_identifier i ON i.id = l.left_node
JOIN profiles_identifier j ON j.id = l.right_node
WHERE l.model_id = %(model)s AND i.profile_id <> j.profile_id
GROUP BY l.left_node, l.right_node, i.profile_id, j.profile_id
"""
RESTRICTED = "SELECT id FROM profiles_profile WHERE restricted AND id = ANY(%s::bigint[])"
HOLDERS = "SELECT id, profile_id FROM profiles_identifier WHERE id = ANY(%s::bigint[])"
NAMED = """
SELECT i.id, i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE t.key = 'record_id' AND i.value = ANY(%s::text[])
"""
NODE_OF_PROFILE = """
SELECT p.uuid::text, (SELECT min(i.id) FROM profiles_identifier i WHERE i.profile_id = p.id)
FROM profiles_profile p WHERE p.uuid = ANY(%s::uuid[])
"""
APART = """
SELECT i.profile_id, j.profile_id FROM profiles_edge e
JOIN profiles_identifier i ON i.id = e.a JOIN profiles_identifier j ON j.id = e.b
WHERE e.state = 3 AND i.profile_id <> j.profile_id
"""
# Both of some profiles at once: votes, and null votes where an edge is blocked.
DECIDED_OF_SOME = """
WITH held AS MATERIALIZED (SELECT id, profile_id FROM profiles_identifier WHERE profile_id = ANY(%(ids)s::bigint[]))
SELECT i.profile_id, j.profile_id,
    count(*) FILTER (WHERE l.answer = 'same') - count(*) FILTER (WHERE l.answer = 'different')
FROM held i JOIN profiles_matchlabel l ON l.left_node = i.id AND l.model_id = %(model)s
JOIN held j ON j.id = l.right_node WHERE i.profile_id <> j.profile_id
GROUP BY l.left_node, l.right_node, i.profile_id, j.profile_id
UNION ALL SELECT i.profile_id, j.profile_id, NULL FROM held i JOIN profiles_edge e ON e.a = i.id AND e.state = 3
JOIN held j ON j.id = e.b WHERE i.profile_id <> j.profile_id
"""
Pairs = list[tuple[int, int]]
Votes = list[tuple[int, int, int]]


@dataclass(slots=True)
class Records:
    """Profiles to be matched, in one order.

    Attributes
    ----------
    ids, sources, nodes : list of int
        Internal id, the source of the first record, and an identifier that stands for the profile.
    has_user : list of bool
        Whether it has a user id: two such profiles are two people.
    columns : list of list
        Per field the stored values.
    """

    ids: list[int]
    sources: list[int]
    nodes: list[int]
    has_user: list[bool]
    columns: list[list[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def rows(self) -> dict[int, int]:
        """Return the row of each profile."""
        return {profile_id: row for row, profile_id in enumerate(self.ids)}

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows of id, source, node, whether there is a user id, and values; those that nothing names stay out."""
        kept = [row for row in rows if row[2] is not None]
        into: list[list[Any]] = [self.ids, self.sources, self.nodes, self.has_user, *self.columns]
        if kept:
            for column, values in zip(into, zip(*kept, strict=True), strict=True):
                column.extend(values)

    def without(self, ids: Collection[int]) -> "Records":
        """Return the others."""
        if not ids:
            return self
        found = Records([], [], [], [], [[] for _ in self.columns])
        found.add(row for row in self.lines() if row[0] not in ids)
        return found

    def lines(self) -> Iterable[Sequence[Any]]:
        """Return the rows that `add` takes."""
        return zip(self.ids, self.sources, self.nodes, self.has_user, *self.columns, strict=True)


def source_ids(keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of sources by key; unknown ones are left out."""
    known = {key: source_id for read in source_keys for source_id, key in read().items()}
    return {key: known[key] for key in keys if key in known}


def load_records(*, sources: Sequence[str], traits: Sequence[str], ids: Sequence[int] | None = None) -> Records:
    """Read the profiles of a model, without those that may not be matched.

    Parameters
    ----------
    sources : sequence of str
        Keys; () for all profiles.
    ids : sequence of int or None
        Only these profiles.
    """
    if ids is not None:
        found = read_some(traits=traits, ids=ids, sources=source_ids(sources).values() if sources else None)
        return found.without(barred_from_matching(found.ids))
    parameters: dict[str, Any] = {f"t{number}": trait for number, trait in enumerate(traits)}
    # What is stored encrypted cannot be compared.
    sealed = find_sealed_names()
    shown = ", ".join(
        "NULL" if trait in sealed else f"p.traits ->> %(t{number})s" for number, trait in enumerate(traits)
    )
    query = OF_ALL
    if sources:
        query, parameters["sources"] = OF_SOURCES, list(source_ids(sources).values())
    found = empty_records(traits)
    with connection.cursor() as cursor:
        cursor.execute(query.format(traits=shown), parameters)
        while rows := cursor.fetchmany(AT_ONCE):
            barred = barred_from_matching(row[0] for row in rows)
            found.add(row for row in rows if row[0] not in barred)
    return found


def empty_records(traits: Sequence[str]) -> Records:
    """Return no records of these traits."""
    return Records([], [], [], [], [[] for _ in traits])


def read_some(*, traits: Sequence[str], ids: Sequence[int], sources: Iterable[int] | None) -> Records:
    """Read some profiles; whether they may be matched is for the caller to ask.

    Parameters
    ----------
    sources : iterable of int or None
        Ids of the model's sources; None for all profiles. Who has nothing of them is left out.
    """
    shown, parameters = show_traits(traits)
    parameters |= _of_sources(sources)
    found = empty_records(traits)
    with connection.cursor() as cursor:
        cursor.execute(OF_SOME.format(traits=shown), {**parameters, "ids": int_array(ids)})
        found.add(cursor.fetchall())
    return found


def _of_sources(sources: Iterable[int] | None) -> dict[str, Any]:
    """Return the parameters of `OF_ONE`."""
    return {"all": sources is None, "sources": list(sources or ())}


def read_who_share(  # noqa: PLR0913 - what is read, and whose keys
    *,
    model_id: int,
    keys: Sequence[int],
    holders: Sequence[int],
    fresh: Iterable[int],
    traits: Sequence[str],
    sources: Iterable[int] | None,
    most: int,
) -> tuple[Records, Pairs]:
    """Read who shares a block key with a newcomer; whether they may be matched is for the caller to ask.

    Parameters
    ----------
    keys, holders : sequence of int
        The keys of newcomers as they are now, and the newcomer of each.
    fresh : iterable of int
        All newcomers; what is stored of them does not count.
    sources : iterable of int or None
        As for `read_some`.
    most : int
        How large a block may be.

    Returns
    -------
    Records, list of (int, int)
        Those who share a key, newcomers among them, and the pairs of which one is a newcomer, the smaller id first.
    """
    shown, given = show_traits(traits)
    given |= _of_sources(sources)
    given |= {"model": model_id, "keys": int_array(keys), "holders": int_array(holders), "fresh": int_array(fresh)}
    found = empty_records(traits)
    with connection.cursor() as cursor:
        cursor.execute(WHO_SHARE.format(traits=shown), {**given, "most": most})
        rows = cursor.fetchall()
    found.add(row[:-1] for row in rows)
    return found, sorted({(min(one, row[0]), max(one, row[0])) for row in rows for one in row[-1]})


def show_traits(traits: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the columns of traits for statements that know `sealed.names`, and their parameters."""
    parameters: dict[str, Any] = {f"t{number}": trait for number, trait in enumerate(traits)}
    shown = ", ".join(
        f"CASE WHEN %({name})s = ANY(sealed.names) THEN NULL ELSE p.traits ->> %({name})s END" for name in parameters
    )
    return shown, parameters


def barred_from_matching(profile_ids: Iterable[int]) -> set[int]:
    """Return those that no purpose allows to match."""
    ids = list(profile_ids)
    return {one for check in matching_checks for one in check(ids)}


def find_unaskable(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the pairs of identifiers about which nobody is asked.

    Somebody is gone, restricted or not to be matched, or both are one profile by now.
    """
    asked = set(pairs)
    holders = read_holders({node for pair in asked for node in pair})
    with connection.cursor() as cursor:
        cursor.execute(RESTRICTED, [int_array(holders.values())])
        barred = {row[0] for row in cursor.fetchall()} | barred_from_matching(set(holders.values()))
    barred.add(0)
    return {
        (left, right)
        for left, right in asked
        if {holders.get(left, 0), holders.get(right, 0)} & barred or holders[left] == holders[right]
    }


def read_record_ids(*, profile_ids: Sequence[int], sources: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return (identifier, profile, ``SOURCE/KEY``) of the imported records of profiles."""
    with connection.cursor() as cursor:
        known = list(source_ids(sources).values())
        cursor.execute(RECORDS, {"ids": int_array(profile_ids), "all": not sources, "sources": known})
        rows: list[tuple[int, int, str]] = cursor.fetchall()
    return rows


def read_holders(nodes: Iterable[int]) -> dict[int, int]:
    """Return which profile holds each identifier."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [int_array(nodes)])
        return dict(cursor.fetchall())


def read_votes(model_id: int) -> Votes:
    """Return (profile, profile, votes) of the answers about pairs; votes above 0 mean that both are one person."""
    with connection.cursor() as cursor:
        cursor.execute(VOTES, {"model": model_id})
        rows: Votes = cursor.fetchall()
    return rows


def read_decisions(model_id: int, profile_ids: Iterable[int]) -> tuple[Votes, Pairs]:
    """Return what `read_votes` and `read_kept_apart` do, of pairs of these profiles only."""
    with connection.cursor() as cursor:
        cursor.execute(DECIDED_OF_SOME, {"model": model_id, "ids": int_array(profile_ids)})
        rows = cursor.fetchall()
    return [row for row in rows if row[2] is not None], [(a, b) for a, b, votes in rows if votes is None]


def find_nodes(names: Sequence[str], *, sources: Sequence[str]) -> dict[str, int]:
    """Return the identifiers that record ids stand for: ``SOURCE/KEY``, the key alone, or a profile's public id."""
    wanted: dict[str, list[str]] = {
        name: [name, *(f"{source}/{name}" for source in sources)] for name in dict.fromkeys(names)
    }
    uuids = [name for name in wanted if _is_uuid(name)]
    with connection.cursor() as cursor:
        cursor.execute(NAMED, [text_array(text for texts in wanted.values() for text in texts)])
        held = {value: node for node, value in cursor.fetchall()}
        profiles: Mapping[str, int] = {}
        if uuids:
            cursor.execute(NODE_OF_PROFILE, [uuids])
            profiles = {uuid: node for uuid, node in cursor.fetchall() if node is not None}
    found: dict[str, int] = {}
    for name, texts in wanted.items():
        node = next((held[text] for text in texts if text in held), profiles.get(name.lower()))
        if node is not None:
            found[name] = node
    return found


def read_kept_apart() -> Pairs:
    """Return pairs of profiles between which an edge is blocked."""
    with connection.cursor() as cursor:
        cursor.execute(APART)
        rows: Pairs = cursor.fetchall()
    return rows


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4 and all(c in "0123456789abcdefABCDEF-" for c in text)
