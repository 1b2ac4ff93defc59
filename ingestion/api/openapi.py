"""The collection addresses in the OpenAPI document: they are no REST views, so they are described by hand.

`tests/core/test_openapi.py` holds this against the addresses that are answered.
"""

from typing import Any

from ingestion.spec.message import ENDPOINTS, MESSAGE_TYPES

TAG = "v1"
SUMMARIES = {
    "": "Collect a batch of messages",
    "track": "Collect what somebody did",
    "identify": "Collect who somebody is",
    "page": "Collect a page view",
    "screen": "Collect a screen view",
    "group": "Collect somebody's membership of a group",
    "alias": "Collect that two ids are the same person",
    "merge": "Link two identifiers (secret key only)",
}
TEXT = {"type": "string"}
OBJECT = {"type": "object", "additionalProperties": True}
MESSAGE_FIELDS: dict[str, Any] = {
    "type": {"type": "string", "enum": ["track", "identify", "page", "screen", "group", "alias"]},
    "messageId": {"type": "string", "maxLength": 100},
    "userId": {"type": "string", "maxLength": 512, "nullable": True},
    "anonymousId": {"type": "string", "maxLength": 512, "nullable": True},
    "event": TEXT,
    "name": TEXT,
    "groupId": {"type": "string", "maxLength": 512},
    "previousId": {"type": "string", "maxLength": 512},
    "properties": OBJECT,
    "traits": OBJECT,
    "context": OBJECT,
    "integrations": OBJECT,
    "timestamp": {"type": "string", "format": "date-time"},
    "originalTimestamp": {"type": "string", "format": "date-time"},
    "sentAt": {"type": "string", "format": "date-time"},
}
REQUIRED = {"track": ["event"], "group": ["groupId"], "alias": ["previousId"], "merge": ["mergeProperties"]}
SCHEMAS: dict[str, Any] = {
    "CollectedMessage": {
        "type": "object",
        "description": "A message of the Segment specification; it needs an identifier.",
        "properties": MESSAGE_FIELDS,
        "additionalProperties": True,
    },
    "CollectedBatch": {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "items": {"$ref": "#/components/schemas/CollectedMessage"}},
            "sentAt": {"type": "string", "format": "date-time"},
            "writeKey": TEXT,
            "context": OBJECT,
            "integrations": OBJECT,
        },
        "additionalProperties": True,
    },
    "CollectedLink": {
        "type": "object",
        "required": ["mergeProperties"],
        "properties": {
            "mergeProperties": {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {
                    "type": "object",
                    "required": ["type", "value"],
                    "properties": {"type": TEXT, "value": {"type": "string", "maxLength": 512}},
                },
            },
        },
        "additionalProperties": True,
    },
    "Collected": {"type": "object", "required": ["success"], "properties": {"success": {"type": "boolean"}}},
    "CollectionProblem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "message", "errors"],
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": TEXT,
            "message": TEXT,
            "errors": {"type": "array", "items": OBJECT},
        },
    },
}
TYPE: dict[str, Any] = {
    "name": "type",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": sorted(MESSAGE_TYPES)},
}
KEY: dict[str, Any] = {"name": "writeKey", "in": "path", "required": True, "schema": TEXT}
UNCHANGED = {"description": "As `If-None-Match` names it."}
PROBLEMS = {
    "400": "Malformed JSON, no list of items, or a single message with a fault.",
    "401": "No write key, or no active source has it.",
    "413": "Over 4 MB, as sent or inflated.",
    "429": "More messages wait than the installation allows; send the same request again.",
    "503": "Storage is down or nearly full; send the same request again.",
}


def describe_collection(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the collection endpoints to the document (a post-processing hook of drf-spectacular)."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    components.setdefault("securitySchemes", {}).update(
        {
            "writeKey": {"type": "http", "scheme": "basic", "description": "The write key as user name, no password."},
            "writeKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
            "writeKeyQuery": {"type": "apiKey", "in": "query", "name": "writeKey"},
        }
    )
    for endpoint, type_name in ENDPOINTS.items():
        result["paths"][f"/v1/{endpoint}"] = {"post": _operation(endpoint, type_name)}
    result["paths"] |= _senders() | _pixels() | _documents()
    return result


def _senders() -> dict[str, Any]:
    """Return what SDKs of others post to."""
    batch = _operation("beacon_batch", "")
    batch["summary"] = "Collect a batch that a browser sends while the page is left (RudderStack)"
    batch["security"] = [{"writeKeyQuery": []}]
    found: dict[str, Any] = {"/beacon/v1/batch": {"post": batch}}
    for path, who in (("/api/s/{type}", "browser"), ("/api/s/s2s/{type}", "server")):
        one = _operation(f"jitsu_{who}", "track")
        one["summary"] = f"Collect one message of Jitsu's SDK for the {who}"
        one["parameters"] = [TYPE]
        one["requestBody"] = _json({"$ref": "#/components/schemas/CollectedMessage"})
        found[path] = {"post": one}
    for path, name in (("/v1/m", "segment"), ("/rsaMetrics", "rudder")):
        found[path] = {
            "post": {
                "operationId": f"discard_metrics_{name}",
                "summary": "Take what an SDK reports about itself, and keep none of it",
                "tags": [TAG],
                "security": [],
                "requestBody": {"required": False, "content": {"application/json": {"schema": OBJECT}}},
                "responses": {"200": _answer("Discarded.", "Collected"), "413": _problem(PROBLEMS["413"])},
            }
        }
    return found


def _pixels() -> dict[str, Any]:
    given = [
        TYPE,
        _query(
            "data", "The message as JSON in base64, either alphabet, padded or not; the other fields then say nothing."
        ),
        _query(
            "userId", "One of the message's own fields. Any of them may be given so; a dot nests: `properties.total`."
        ),
        _query("anonymousId", "As above."),
        _query("event", "As above; a track needs it."),
    ]
    return {
        path: {
            "get": {
                "operationId": name,
                "summary": "Collect one message by the address of an image; the answer is always that image",
                "tags": [TAG],
                "security": [{"writeKeyQuery": []}],
                "parameters": given,
                "responses": {
                    "200": _file("A transparent image of one pixel, whatever became of the message.", "image/gif")
                },
            }
        }
        for path, name in (("/v1/pixel/{type}", "pixel_segment"), ("/pixel/v1/{type}", "pixel_rudder"))
    }


def _documents() -> dict[str, Any]:
    """Return what SDKs read before they send."""
    unknown = _problem("No active source has this write key.")
    found: dict[str, Any] = {}
    for prefix, name in (("", "segment"), ("/customerio", "customerio")):
        found[f"{prefix}/v1/projects/{{writeKey}}/settings"] = _reading(
            f"settings_{name}", "Read the settings that an SDK asks for first", [KEY],
            {"200": _answer("The settings.", None), "304": UNCHANGED, "404": unknown},
        )  # fmt: skip
    found["/sourceConfig"] = _reading(
        "source_config", "Read the source configuration that RudderStack's SDKs ask for first", [],
        {"200": _answer("The configuration.", None), "304": UNCHANGED, "401": unknown},
    )  # fmt: skip
    found["/sourceConfig"]["get"]["security"] = [{"writeKey": []}, {"writeKeyHeader": []}, {"writeKeyQuery": []}]
    script = _file("The script.", "text/javascript")
    missing = _problem("No active source has this write key, or the script is not installed here (`make snippet`).")
    found["/analytics.js/v1/{writeKey}/analytics.min.js"] = _reading(
        "snippet", "Read the script of Segment's HTML snippet", [KEY], {"200": script, "304": UNCHANGED, "404": missing}
    )
    found["/banner.js"] = _reading(
        "banner_script", "Read the script of the consent banner", [], {"200": script, "304": UNCHANGED}
    )
    found["/v1/consent/{writeKey}"] = _reading(
        "banner", "Read what the consent banner of a site asks for", [KEY],
        {"200": _answer("The purposes and their texts.", None), "304": UNCHANGED, "404": unknown},
    )  # fmt: skip
    part = {"name": "part", "in": "path", "required": True, "schema": TEXT, "description": "Name of the part's file."}
    found["/analytics-next/bundles/{part}"] = _reading(
        "snippet_part", "Read a part that the script loads when it needs it", [part],
        {"200": script, "304": UNCHANGED, "404": _problem("There is no such part.")},
    )  # fmt: skip
    healthy = {"type": "object", "required": ["status"], "properties": {"status": TEXT}}
    found["/health"] = _reading("health", "Ask whether this process answers (RudderStack's address)", [],
        {"200": {"description": "It does.", "content": {"application/json": {"schema": healthy}}}})  # fmt: skip
    return found


def _reading(name: str, summary: str, parameters: list[Any], responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": f"collection_{name}",
            "summary": summary,
            "tags": [TAG],
            "security": [],
            "parameters": parameters,
            "responses": responses,
        }
    }


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": TEXT, "description": description}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answer(description: str, schema: str | None) -> dict[str, Any]:
    found = {"$ref": f"#/components/schemas/{schema}"} if schema else OBJECT
    return {"description": description, "content": {"application/json": {"schema": found}}}


def _file(description: str, media_type: str) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/CollectionProblem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _operation(endpoint: str, type_name: str) -> dict[str, Any]:
    problems = PROBLEMS | ({"403": "The write key is public."} if type_name == "merge" else {})
    return {
        "operationId": f"collect_{endpoint}",
        "summary": SUMMARIES[type_name],
        "tags": [TAG],
        "security": [{"writeKey": []}, {"writeKeyHeader": []}],
        "requestBody": _json(_body(type_name)),
        "responses": {
            "200": _answer("Taken in.", "Collected"),
            **{status: _problem(description) for status, description in sorted(problems.items())},
        },
    }


def _body(type_name: str) -> dict[str, Any]:
    if not type_name:
        return {"$ref": "#/components/schemas/CollectedBatch"}
    if type_name == "merge":
        return {"$ref": "#/components/schemas/CollectedLink"}
    message = {"$ref": "#/components/schemas/CollectedMessage"}
    required = REQUIRED.get(type_name)
    return {"allOf": [message, {"type": "object", "required": required}]} if required else message
