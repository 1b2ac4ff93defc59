"""The collection endpoints in the OpenAPI document: they are no REST views, so they are described by hand."""

from typing import Any

from ingestion.spec.message import ENDPOINTS

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
PROBLEMS = {
    "400": "Malformed JSON, no list of items, or a single message with a fault.",
    "401": "No write key, or no active source has it.",
    "413": "Over 4 MB, as sent or inflated.",
    "503": "Storage is down; send the same request again.",
}


def describe_collection(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the collection endpoints to the document (a post-processing hook of drf-spectacular)."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(SCHEMAS)
    components.setdefault("securitySchemes", {}).update(
        {
            "writeKey": {"type": "http", "scheme": "basic", "description": "The write key as user name, no password."},
            "writeKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Write-Key"},
        }
    )
    for endpoint, type_name in ENDPOINTS.items():
        result["paths"][f"/v1/{endpoint}"] = {"post": _operation(endpoint, type_name)}
    return result


def _operation(endpoint: str, type_name: str) -> dict[str, Any]:
    problems = PROBLEMS | ({"403": "The write key is public."} if type_name == "merge" else {})
    return {
        "operationId": f"collect_{endpoint}",
        "summary": SUMMARIES[type_name],
        "tags": [TAG],
        "security": [{"writeKey": []}, {"writeKeyHeader": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(type_name)}}},
        "responses": {
            "200": {
                "description": "Taken in.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Collected"}}},
            },
            **{
                status: {
                    "description": description,
                    "content": {
                        "application/problem+json": {"schema": {"$ref": "#/components/schemas/CollectionProblem"}}
                    },
                }
                for status, description in sorted(problems.items())
            },
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
