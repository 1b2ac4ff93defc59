"""Messages as a caller may see them: what says what a message is stays, what people put into it is masked."""

from typing import Any

import orjson

from cdp.core.access import Principal, show
from ingestion.queries.archived import Raw
from ingestion.spec.differences import ABSENT, Difference

# What kind of message it is, and when: the names of events and the ids of messages are shown everywhere else, too.
PLAIN = frozenset(
    {"type", "event", "messageId", "timestamp", "sentAt", "originalTimestamp", "channel", "integrations", "version"}
)
KINDS = {"Identifier email": "email", "Identifier phone": "phone"}
END = "END_OF_MESSAGE"


def show_item(principal: Principal, item: Any) -> Any:
    """Return an item with the values that people put into it masked, if the caller may not see them."""
    if principal.sees_personal_data or not isinstance(item, dict):
        return show(principal, item)
    return {name: value if name in PLAIN else show(principal, value) for name, value in item.items()}


def show_difference(principal: Principal, difference: Difference) -> dict[str, Any]:
    """Return a difference as shown; a value that came or went has only its other side."""
    plain = difference.path.partition(".")[0] in PLAIN
    shown: dict[str, Any] = {"path": difference.path, "kind": difference.kind}
    for side, value in (("before", difference.before), ("after", difference.after)):
        if value is not ABSENT:
            shown[side] = value if plain else show(principal, value)
    return shown


def show_fact(principal: Principal, name: str, value: Any, *, is_personal: bool) -> tuple[str, Any]:
    """Return a fact as shown."""
    plain = not is_personal or name in {"Type", "Name", "Warning", "No normal form"}
    return name, value if plain else show(principal, value, KINDS.get(name, "text"))


def write_curl(raw: Raw, *, base_url: str, principal: Principal) -> str:
    """Return a command that sends the message again; the key is left out."""
    item = show_item(principal, raw.item)
    endpoint = "merge" if raw.batch.endpoint_type == "merge" else "batch"
    body: dict[str, Any] = item
    if endpoint == "batch":
        kind = raw.item.get("type") or raw.batch.endpoint_type
        body = {"batch": [{**item, "type": kind} if kind else item]}
        if raw.batch.context:
            body["context"] = show(principal, raw.batch.context)
        if raw.batch.sent_at is not None:
            body["sentAt"] = raw.batch.sent_at.isoformat()
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    return (
        f"curl {base_url}/v1/{endpoint} -u 'WRITE_KEY:' -H 'Content-Type: application/json' \\\n"
        f"  --data-binary @- <<'{END}'\n{text}\n{END}"
    )
