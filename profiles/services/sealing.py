"""Encrypting sensitive traits as messages are recorded, under keys of the person that erasure destroys.

The form is that of `profiles.queries.sealed`; what is stored already is sealed by `profiles.services.sealing_stored`.
The caller holds the lock `IDENTITY`.
"""

import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from cdp.core import master_keys
from cdp.core.copying import bytea_array, escape_json, int_array
from profiles.models import EventType
from profiles.queries.sealed import CONTEXT, PersonCipher, is_sealed, read_ciphers
from profiles.services.traits import normal_form

if TYPE_CHECKING:
    from profiles.services.record import Incoming

KEY_BYTES = 32
NULL = "\\N"
NEW_KEYS = "INSERT INTO profiles_personkey (identifier_id, wrapped) SELECT * FROM unnest(%s::bigint[], %s::bytea[])"
# Where cleaning keeps what was sent, by path (ingestion.treatment.cleaning).
RAW = "cdp_raw"
PREFIXES = ("traits.", "context.traits.")


def seal_messages(cursor: Any, messages: Collection["Incoming"], names: frozenset[str]) -> None:
    """Replace the values of these traits in messages by their sealed form, in two statements at most.

    What `group` calls say belongs to the group, not to the person, and stays.
    """
    quoted = [orjson.dumps(name).decode() for name in names] + [
        f'{prefix}{name}"' for prefix in PREFIXES for name in names
    ]
    concerned = [
        message
        for message in messages
        if message.type != EventType.GROUP and any(name in message.json_text for name in quoted)
    ]
    ciphers = ensure_ciphers(cursor, {message.node_ids[0] for message in concerned})
    for message in concerned:
        cipher = ciphers[message.node_ids[0]]
        if message.stated:
            message.stated = seal_object(message.stated, names, cipher)
        properties, traits, context = message.json_text.split("\t")
        message.json_text = "\t".join(
            (properties, _resealed(traits, names, cipher, seal_object), _resealed(context, names, cipher, seal_context))
        )


def ensure_ciphers(cursor: Any, identifier_ids: Collection[int]) -> dict[int, PersonCipher]:
    """Return the keys of identifiers, made where missing."""
    ciphers = read_ciphers(cursor, identifier_ids)
    missing = sorted(set(identifier_ids) - ciphers.keys())
    if missing:
        keys = [os.urandom(KEY_BYTES) for _ in missing]
        wrapped = [master_keys.encrypt(key, context=CONTEXT) for key in keys]
        cursor.execute(NEW_KEYS, [int_array(missing), bytea_array(wrapped)])
        ciphers |= {one: PersonCipher(one, key) for one, key in zip(missing, keys, strict=True)}
    return ciphers


def wrap_anew(wrapped: bytes) -> bytes | None:
    """Return a key under the current master key; None if it is so already."""
    if wrapped.startswith(master_keys.current_master_key().id):
        return None
    return master_keys.encrypt(master_keys.decrypt(wrapped, context=CONTEXT), context=CONTEXT)


def seal_object(values: Mapping[str, Any], names: Collection[str], cipher: PersonCipher) -> dict[str, Any]:
    """Return traits with those of these names sealed; null stays null, for it unsets the trait."""
    return {
        name: cipher.seal(name, normal_form(value))
        if name in names and value is not None and not is_sealed(value)
        else value
        for name, value in values.items()
    }


def seal_context(context: Mapping[str, Any], names: Collection[str], cipher: PersonCipher) -> dict[str, Any]:
    """Return a message's context with the traits that it repeats, and what was sent before cleaning, sealed."""
    sealed = dict(context)
    if isinstance(context.get("traits"), dict):
        sealed["traits"] = seal_object(context["traits"], names, cipher)
    if isinstance(context.get(RAW), dict):
        paths = {f"{prefix}{name}" for prefix in PREFIXES for name in names}
        sealed[RAW] = seal_object(context[RAW], paths, cipher)
    return sealed


def _resealed(column: str, names: Collection[str], cipher: PersonCipher, seal: Any) -> str:
    """Seal a JSON column that is COPY text already: of its special characters JSON can hold only the backslash."""
    if column == NULL:
        return column
    value = seal(orjson.loads(column.replace("\\\\", "\\")), names, cipher)
    return escape_json(orjson.dumps(value).decode())
