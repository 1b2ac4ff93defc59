"""Finding the source of a write key, for every request: remembered in the process for two seconds."""

import hmac
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection

from cdp.core.connections import on_living_connection
from cdp.core.digests import derived_key
from cdp.core.secrets import unseal
from ingestion.models import Source
from ingestion.queries.identifier_rules import reading_rules
from ingestion.spec.identifiers import IdentifierRules
from profiles.queries.rules import read_types, rule_set

# A disabled key must stop within 5 s everywhere.
REMEMBERED_SECONDS = 2.0
# Types whose values have a form that no rule changes.
OWN_FORMS = frozenset({"user_id", "anonymous_id", "record_id", "email", "phone", "ios.id", "android.id", "device_id"})
SEALED_AS = "write key"

FIND = """
SELECT s.id, s.kind, s.max_event_bytes, s.transformations_version > 0, s.ip_storage, coalesce(f.enabled, false),
    coalesce(f.is_full, false)
FROM ingestion_source s LEFT JOIN ingestion_forwarding f ON f.source_id = s.id
WHERE s.write_key_digest = %s AND s.enabled
"""


@dataclass(frozen=True, slots=True)
class KnownSource:
    """What a request needs to know of its source."""

    id: int
    is_public: bool
    max_event_bytes: int
    is_transformed: bool = False
    ip_storage: str = Source.IpStorage.TRUNCATED
    forwards: bool = False
    forwarding_is_full: bool = False


_known: dict[str, tuple[float, KnownSource]] = {}
_rules: tuple[float, IdentifierRules] | None = None


def digest_write_key(write_key: str) -> bytes:
    """Return the digest under which a write key is found."""
    return hmac.digest(derived_key("write_key"), write_key.encode("utf-8", "replace"), "sha256")


def read_write_key(source: Source) -> str:
    """Return a source's write key in the clear."""
    return unseal(bytes(source.write_key_sealed), context=SEALED_AS).decode()


def find_source_of(write_key: str) -> KnownSource | None:
    """Return the enabled source that has this key.

    Notes
    -----
    Only keys that exist are remembered, so a source can send in the very moment it was made.
    """
    remembered = _known.get(write_key)
    if remembered is not None and time.monotonic() < remembered[0]:
        return remembered[1]
    row = on_living_connection(partial(_find, digest_write_key(write_key)))
    if row is None:
        _known.pop(write_key, None)
        return None
    source = KnownSource(row[0], row[1] in {Source.Kind.BROWSER, Source.Kind.MOBILE}, *row[2:])
    _known[write_key] = (time.monotonic() + REMEMBERED_SECONDS, source)
    return source


def _find(digest: bytes) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(FIND, [digest])
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def read_identifier_rules() -> IdentifierRules:
    """Return the configured identifier types, as the reading of messages needs them."""
    global _rules  # noqa: PLW0603 - one memory per process
    remembered = _rules
    if remembered is not None and time.monotonic() < remembered[0]:
        return remembered[1]
    rules = on_living_connection(lambda: reading_rules(rule_set(read_types())))
    _rules = (time.monotonic() + REMEMBERED_SECONDS, rules)
    return rules


def name_normaliser(type_key: str) -> str:
    """Return the name of a type's normaliser, "" for its own."""
    return "" if type_key in OWN_FORMS else read_identifier_rules().normalisers.get(type_key, "")


def forget_write_keys() -> None:
    """Forget what this process remembers."""
    global _rules  # noqa: PLW0603
    _known.clear()
    _rules = None
