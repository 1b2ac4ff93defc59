"""Which values are known where references point: found by keyed digests."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from cdp.core.copying import bytea_array, int_array
from cdp.core.digests import derived_key
from ingestion.quality.counting import Looked
from ingestion.quality.rules import Known, Reference, references_of
from ingestion.queries.field_rules import Held

FIND = """
SELECT t.rule_id, t.digest FROM unnest(%s::bigint[], %s::bytea[]) AS t(rule_id, digest)
JOIN ingestion_knownvalue k ON k.rule_id = t.rule_id AND k.digest = t.digest
"""


def value_digest(text: str) -> bytes:
    """Return the 16-byte keyed digest under which a value is known."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=derived_key("value"), digest_size=16).digest()


def find_known(cursor: Any, held: Sequence[Held], looked: Iterable[Looked]) -> Known:
    """Return what tells whether a value of these messages is known (one statement if there are references)."""
    rules = {
        (one.source_id, one.rule.type, one.rule.event, one.rule.field): one
        for one in held
        if one.rule.reference is not None
    }
    if not rules:
        return lambda *_: False
    fields: dict[tuple[int, str, str], list[Held]] = {}
    for key, one in rules.items():
        fields.setdefault(key[:3], []).append(one)
    asked: dict[tuple[int, bytes], tuple[Reference, str]] = {}
    for message in looked:
        event = message.event if message.type == "track" else ""
        for one in fields.get((message.source_id, message.type, event), ()):
            assert one.rule.reference is not None
            for text in references_of(message.payload.get(one.rule.field)):
                asked[one.row_id, value_digest(text)] = one.rule.reference, text
    cursor.execute(FIND, [int_array(key[0] for key in asked), bytea_array(key[1] for key in asked)])
    known = {asked[row_id, bytes(digest)] for row_id, digest in cursor.fetchall()}
    return lambda reference, text: (reference, text) in known
