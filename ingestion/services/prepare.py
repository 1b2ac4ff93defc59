"""Everything about a message that needs no look-up: reading, cleaning, digests, COPY text. Runs before the lock."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from cdp.core.copying import NULL, escape, stamp
from cdp.core.digests import LOOKUP_BYTES, identifier_digest, message_digest
from ingestion.errors import IngestionError
from ingestion.models import Source
from ingestion.services.discovering import discover
from ingestion.services.treating import find_treatment, read_treated
from ingestion.spec.consent import CONSENT_EVENT, read_consent, read_signals
from ingestion.spec.identifiers import IdentifierRules
from ingestion.spec.item import read_item
from ingestion.spec.message import BadItem, Fault, Message
from ingestion.spec.sender import PARSED, TRUNCATED, shorten_address, user_agents
from ingestion.spec.soundness import pack
from ingestion.spec.split import split_items
from ingestion.treatment.plans import ALLOW
from ingestion.treatment.treatment import Treated
from profiles.identity.blocked import is_blocked
from profiles.identity.graph import Claim, Given, TypeRule
from profiles.models import EventType
from profiles.services.record import Incoming, prepare_json

EVENT_TYPES = {name: int(EventType[name.upper()]) for name in ("track", "identify", "page", "screen", "group", "alias")}
EVENT_TYPES["merge"] = int(EventType.MERGE)
TWINS = {"user_id": "anonymous_id", "anonymous_id": "user_id"}


@dataclass(frozen=True, slots=True)
class Rules:
    """The configured identifier types, as the reader and as the resolver need them.

    `by_kind` is what the reader needs for kinds of sources that may not assert every type.
    """

    reading: IdentifierRules
    by_key: dict[str, TypeRule]
    by_id: dict[int, TypeRule]
    by_kind: dict[str, IdentifierRules] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """An inbox row; `received_text` is `received_at` for COPY."""

    id: int
    source: Source
    received_at: datetime
    endpoint: str
    body: bytes
    ip: str
    user_agent: str
    received_text: str
    gpc: bool = False


class Item:
    """One item of a request: its source, the hash of its message id, and either a message or a fault.

    `digests` are those of its identifiers, strongest first; `consent` is its consent object, `signals` what else it
    says of consent; `treated` holds what plan and cleaning found, if anything.
    """

    __slots__ = (
        "anonymous_id", "consent", "digests", "fault", "hash", "incoming", "is_consent_event", "message", "message_id",
        "payload", "request", "signals", "treated", "warnings",
    )  # fmt: skip

    def __init__(self, request: Request, message_id: str, payload: Any) -> None:
        self.request = request
        self.message_id = message_id
        self.hash = message_digest(message_id)
        self.payload = payload
        self.message: Message | None = None
        self.incoming: Incoming | None = None
        self.fault: Fault | None = None
        self.digests: list[bytes] = []
        self.warnings: list[str] = []
        self.consent: dict[str, bool] | None = None
        self.signals: dict[str, Any] | None = None
        self.is_consent_event = False
        self.anonymous_id = ""
        self.treated: Treated | None = None


def prepare(requests: list[Request], rules: Rules) -> list[Item]:
    """Read all items of `requests`, in order."""
    items: list[Item] = []
    user_agents.begin_batch()
    for request in requests:
        try:
            batch = split_items(request.body, request.endpoint, ip=request.ip, user_agent=request.user_agent)
        except IngestionError as error:
            # The door lets only readable requests in; should one not be, it is quarantined whole, never lost.
            item = Item(request, _new_id(), request.body)
            item.fault = Fault(error.code, error.message)
            items.append(item)
            continue
        batch.user_agents = user_agents
        if request.source.is_public:
            batch.ip_rule = request.source.ip_storage
        treatment = find_treatment(request.source)
        reading = rules.by_kind.get(request.source.kind, rules.reading)
        notice = partial(discover, request.source.id, request.received_at)
        keeps_payload = bool(request.source.required_purpose) or treatment is not None
        for raw in batch.items:
            # The reader uses the item up; a source that may hold messages, or changes them, needs it once more.
            payload = pack(raw) if keeps_payload and not isinstance(raw, BadItem) else raw
            treated = None if treatment is None else Treated(treatment, batch.context, notice)
            read = read_item if treatment is None else partial(read_treated, treatment=treatment, treated=treated)
            outcome = read(
                raw,
                batch=batch,
                received_at=request.received_at,
                max_event_bytes=request.source.max_event_bytes,
                rules=reading,
                new_id=_new_id,
            )
            if isinstance(outcome, Fault):
                item = Item(request, outcome.message_id or _new_id(), payload)
                item.fault = outcome
            else:
                item = Item(request, outcome.message_id, payload)
                if treated is None:
                    notice(outcome.type, outcome.name, outcome.properties, outcome.traits)
                fill(item, outcome, rules)
                if treated is not None and treated.findings:
                    item.treated = treated
                    if treated.action != ALLOW:
                        # Read in whole all the same: whether anything of it may be kept depends on whose it is.
                        item.fault = Fault(*treated.reason())
            items.append(item)
    return items


def fill(item: Item, message: Message, rules: Rules) -> None:
    """Turn a message into what the resolver and COPY take."""
    request = item.request
    given: list[Given] = []
    several = len(message.identifiers) > 1
    digests = item.digests = []
    for type_key, value, _ in message.identifiers:
        digest = identifier_digest(type_key, value)
        digests.append(digest)
        twin = TWINS.get(type_key)
        twin_lookup = None
        if twin is not None and (several or type_key == "user_id"):
            twin_lookup = identifier_digest(twin, value)[:LOOKUP_BYTES]
        given.append(Given(rules.by_key[type_key], digest[:LOOKUP_BYTES], value, twin_lookup))
    claim = Claim(
        given,
        message.message_id,
        request.source.id,
        message.occurred_at,
        request.received_at,
        message.type,
        _previous(message, rules),
        not request.source.is_public,
    )
    item.message = message
    item.warnings = message.warnings
    kind = EVENT_TYPES[message.type]
    occurred = stamp(message.occurred_at)
    original = NULL if message.original_timestamp is None else escape(message.original_timestamp)
    item.incoming = Incoming(
        claim,
        kind,
        message.name,
        occurred,
        f"{kind}\t{escape(message.name)}\t{occurred}\t{request.received_text}\t{original}\t{stamp(message.sent_at)}\t"
        f"{request.source.id}\t{escape(message.message_id)}",
        prepare_json(
            # The event has no place of its own for it.
            {**message.properties, "groupId": message.group_id} if message.group_id else message.properties,
            message.traits,
            message.context,
        ),
        message.traits if message.type == "identify" else None,
    )
    if "consent" in message.context or "consentManagement" in message.context:
        item.consent = read_consent(message.context)
        item.signals = read_signals(message.context)
    item.is_consent_event = message.type == "track" and message.name == CONSENT_EVENT
    if request.gpc:
        item.signals = {**(item.signals or {}), "gpc": True}
    if item.is_consent_event:
        item.signals = {**(item.signals or {}), **_sender_of(message.context)}
    item.anonymous_id = message.anonymous_id


def _sender_of(context: Mapping[str, Any]) -> dict[str, str]:
    """Return, as evidence of a choice, the family of the browser and the truncated address that it came from."""
    parsed = context.get(PARSED)
    family = parsed.get("browser") if isinstance(parsed, dict) else None
    address = shorten_address(context.get("ip"), TRUNCATED)
    return {
        name: value for name, value in (("user_agent", family), ("ip", address)) if isinstance(value, str) and value
    }


def _previous(message: Message, rules: Rules) -> tuple[Given, Given] | None:
    """Read an alias's previousId both ways: which one it is, only the stored identifiers tell."""
    value = message.previous_id
    if message.type != "alias" or not value or is_blocked(value, rules.reading.blocked["user_id"]):
        return None
    user = identifier_digest("user_id", value)[:LOOKUP_BYTES]
    anonymous = identifier_digest("anonymous_id", value)[:LOOKUP_BYTES]
    return (
        Given(rules.by_key["user_id"], user, value, anonymous),
        Given(rules.by_key["anonymous_id"], anonymous, value, user),
    )


def _new_id() -> str:
    return f"cdp-{uuid.uuid4()}"
