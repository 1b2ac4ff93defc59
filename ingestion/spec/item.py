"""Reading one item: the fault table, clock correction, identifiers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ingestion.spec.identifiers import (
    IdentifierRules,
    add_contact,
    add_context_identifiers,
    add_identifier,
    read_id,
    typed_identifier,
)
from ingestion.spec.limits import (
    MAX_ID_CHARACTERS,
    MAX_MESSAGE_ID_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_TRAITS,
)
from ingestion.spec.message import MESSAGE_TYPES, BadItem, Fault, Faulty, Identifier, Message
from ingestion.spec.sender import PARSED, shorten_address
from ingestion.spec.soundness import check_item, storable_text
from ingestion.spec.split import Batch
from ingestion.spec.times import correct_clock

Treat = Callable[[str, str, dict[str, Any], dict[str, Any] | None, dict[str, Any], list[str]], None]
"""Takes type, name, properties, traits, context and warnings of a message; changes them in place."""


def read_item(  # noqa: PLR0913 - what a message is read with
    item: object,
    *,
    batch: Batch,
    received_at: datetime,
    max_event_bytes: int,
    rules: IdentifierRules,
    new_id: Callable[[], str],
    treat: "Treat | None" = None,
) -> Message | Fault:
    """Read one item of a request.

    Parameters
    ----------
    item : object
        An element of ``batch.items``. It is used up: the message holds its parts.
    batch : Batch
        What the request's items share.
    received_at : datetime
        The server's clock at arrival, UTC.
    max_event_bytes : int
        The source's limit of an item's compact UTF-8 JSON.
    rules : IdentifierRules
        The configured identifier types.
    new_id : callable
        Makes a message id for items without one.
    treat : callable or None
        What the source does to the parts of a message, before identifiers are taken from them.

    Returns
    -------
    Message or Fault
        The caller decides whether a fault is rejected (single) or quarantined (batch).
    """
    if not isinstance(item, dict):
        if isinstance(item, BadItem):
            return Fault(item.code, item.message, sent_message_id(item.item))
        return Fault("not_an_object", "An item of the batch is not an object.")
    warnings = list(batch.warnings)
    try:
        sound = check_item(item, max_event_bytes=max_event_bytes, warnings=warnings)
        if batch.endpoint_type == "merge":
            return _read_link(sound, received_at, rules, new_id, warnings)
        return _read_sound(sound, batch, received_at, rules, new_id, warnings, treat)
    except Faulty as fault:
        return Fault(fault.code, fault.message, sent_message_id(item))


def _read_sound(  # noqa: PLR0912, PLR0913, PLR0915 - one straight pass, called for every message
    item: dict[str, Any],
    batch: Batch,
    received_at: datetime,
    rules: IdentifierRules,
    new_id: Callable[[], str],
    warnings: list[str],
    treat: "Treat | None",
) -> Message:
    get = item.get
    message_id = get("messageId")
    if message_id.__class__ is not str or not message_id or len(message_id) > MAX_MESSAGE_ID_CHARACTERS:
        message_id = _odd_message_id(message_id, new_id, warnings)
    kind = get("type") or batch.endpoint_type
    if kind.__class__ is not str or kind not in MESSAGE_TYPES:
        raise Faulty("bad_type", "type is none of track, identify, page, screen, group, alias.")

    user_id = get("userId")
    if user_id.__class__ is not str or len(user_id) > MAX_ID_CHARACTERS:
        user_id = read_id(user_id, "userId", warnings)
    anonymous_id = get("anonymousId")
    if anonymous_id.__class__ is not str or len(anonymous_id) > MAX_ID_CHARACTERS:
        anonymous_id = read_id(anonymous_id, "anonymousId", warnings)

    context = get("context")
    if context.__class__ is not dict:
        context = _object(context, "context")
    if batch.context:
        context = {**batch.context, **context}
    integrations = get("integrations")
    if integrations.__class__ is not dict:
        integrations = _object(integrations, "integrations")
    if batch.integrations:
        integrations = {**batch.integrations, **integrations}
    properties = get("properties")
    if properties.__class__ is not dict:
        properties = _object(properties, "properties")

    name: Any = ""
    previous_id = group_id = ""
    traits: dict[str, Any] | None = None
    if kind == "track":
        name = get("event")
        if name.__class__ is not str or not name.strip():
            raise Faulty("no_event_name", "A track needs a text under `event`; it is missing, empty or not a text.")
    elif kind == "identify":
        traits = _identify_traits(get("traits"), context)
    elif kind == "group":
        group_id = read_id(get("groupId"), "groupId", warnings)
        if not group_id.strip():
            raise Faulty("no_group_id", "A group call needs a groupId.")
        traits = _traits(get("traits"))
    elif kind == "alias":
        previous_id = read_id(get("previousId"), "previousId", warnings)
        if not previous_id.strip():
            raise Faulty("no_previous_id", "An alias needs a previousId.")
    else:
        name = _page_name(item, properties)
    if len(name) > MAX_NAME_CHARACTERS:
        name = name[:MAX_NAME_CHARACTERS]
        warnings.append("name_truncated")

    occurred_at, original, sent_at = correct_clock(
        item, batch_sent_at=batch.sent_at, received_at=received_at, warnings=warnings
    )

    if batch.ip and "ip" not in context:
        context["ip"] = batch.ip
    if batch.ip_rule and "ip" in context:
        context["ip"] = shorten_address(context["ip"], batch.ip_rule)
        if not context["ip"]:
            del context["ip"]
    if batch.user_agent and "userAgent" not in context:
        context["userAgent"] = batch.user_agent
    if batch.user_agents is not None and "userAgent" in context and PARSED not in context:
        parsed = batch.user_agents.read(context["userAgent"])
        if parsed is not None:
            context[PARSED] = parsed
    if treat is not None:
        treat(kind, name, properties, traits, context, warnings)

    identifiers: list[Identifier] = []
    if user_id:
        add_identifier(identifiers, "user_id", user_id, rules, warnings)
    if anonymous_id:
        add_identifier(identifiers, "anonymous_id", anonymous_id, rules, warnings)
    if traits is not None and kind == "identify":
        add_contact(identifiers, "email", traits.get("email"), rules, warnings)
        add_contact(identifiers, "phone", traits.get("phone"), rules, warnings)
    if "device" in context or "externalIds" in context:
        add_context_identifiers(identifiers, context, rules, warnings)
    if not identifiers:
        raise Faulty(
            "no_identifier",
            "The message has no usable identifier: it needs a userId, an anonymousId, an external id, a "
            "device id, or the e-mail or phone of an identify.",
        )
    if len(identifiers) > 1:
        priorities = rules.priorities
        identifiers.sort(key=lambda identifier: priorities[identifier[0]])

    return Message(
        kind,
        message_id,
        name,
        occurred_at,
        original,
        sent_at,
        properties,
        traits,
        context,
        integrations,
        user_id,
        anonymous_id,
        previous_id,
        group_id,
        identifiers,
        warnings,
    )


def _read_link(
    item: dict[str, Any],
    received_at: datetime,
    rules: IdentifierRules,
    new_id: Callable[[], str],
    warnings: list[str],
) -> Message:
    """Read the explicit link call: exactly two typed ids."""
    pair = item.get("mergeProperties")
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(entry, dict) for entry in pair):
        raise Faulty("invalid_link", "mergeProperties must be a list of exactly two objects: type and value.")
    identifiers = [typed_identifier(entry.get("type"), entry.get("value"), rules) for entry in pair]
    if identifiers[0][:2] == identifiers[1][:2]:
        raise Faulty("invalid_link", "The two entries of mergeProperties are the same identifier.")
    message_id = item.get("messageId")
    if message_id.__class__ is not str or not message_id or len(message_id) > MAX_MESSAGE_ID_CHARACTERS:
        message_id = _odd_message_id(message_id, new_id, warnings)
    occurred_at, original, sent_at = correct_clock(item, batch_sent_at=None, received_at=received_at, warnings=warnings)
    return Message(
        type="merge",
        message_id=message_id,
        name="",
        occurred_at=occurred_at,
        original_timestamp=original,
        sent_at=sent_at,
        properties={},
        traits=None,
        context=_object(item.get("context"), "context"),
        integrations=_object(item.get("integrations"), "integrations"),
        user_id="",
        anonymous_id="",
        previous_id="",
        group_id="",
        identifiers=sorted(identifiers, key=lambda identifier: rules.priorities[identifier[0]]),
        warnings=warnings,
    )


def _odd_message_id(value: object, new_id: Callable[[], str], warnings: list[str]) -> str:
    """Return a message id for what is not a text of legal length."""
    if value is None or value == "":
        return new_id()
    if value.__class__ is int or value.__class__ is float:
        value = str(value)
    if not isinstance(value, str):
        warnings.append("invalid_message_id")
        return new_id()
    if len(value) > MAX_MESSAGE_ID_CHARACTERS:
        raise Faulty(
            "message_id_too_long",
            f"messageId has {len(value)} characters; the limit is {MAX_MESSAGE_ID_CHARACTERS}.",
        )
    return value


def sent_message_id(item: dict[str, Any]) -> str:
    """Return the message id of an item that has a fault, as far as it can be stored; ``""`` without one.

    Parameters
    ----------
    item : dict
        Any parsed item.
    """
    value = item.get("messageId")
    if value.__class__ is int or value.__class__ is float:
        value = str(value)
    return storable_text(value[:MAX_ID_CHARACTERS]) if isinstance(value, str) else ""


def _object(value: object, name: str) -> dict[str, Any]:
    """Return an object that may be absent. PHP writes an empty one as an empty list."""
    if value is None or value in ([], ""):
        return {}
    if not isinstance(value, dict):
        raise Faulty("not_an_object", f"{name} is not an object.")
    return value


def _traits(value: object) -> dict[str, Any]:
    traits = _object(value, "traits")
    if len(traits) > MAX_TRAITS:
        raise Faulty("too_many_traits", f"The message has {len(traits)} traits; the limit is {MAX_TRAITS}.")
    return traits


def _identify_traits(value: object, context: dict[str, Any]) -> dict[str, Any]:
    """Lay the identify's own traits over those of its context (RudderStack's Python SDK sends only these)."""
    traits = _traits(value)
    shared = context.get("traits")
    return _traits({**shared, **traits}) if isinstance(shared, dict) and shared else traits


def _page_name(item: dict[str, Any], properties: dict[str, Any]) -> str:
    """Return the name of a page or screen, and keep its name and category with its properties."""
    name = item.get("name") or properties.get("name")
    for key in ("name", "category"):
        value = item.get(key)
        if value is not None and value != "" and key not in properties:
            properties[key] = value
    return name if isinstance(name, str) else ""
