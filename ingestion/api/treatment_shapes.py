"""Shapes of transformations, plans and cleaning, for OpenAPI; their content is read by `ingestion.treatment`."""

from typing import Any

from rest_framework import serializers

from cdp.core.errors import FieldError
from ingestion.errors import InvalidTreatment


def read_body(body: Any) -> dict[str, Any]:
    """Return a body that must be an object.

    Raises
    ------
    InvalidTreatment
        If it is none.
    """
    if not isinstance(body, dict):
        raise InvalidTreatment([FieldError(path="", code="treatment.invalid", message="The body must be an object.")])
    return dict(body)


def take_note(definition: dict[str, Any]) -> str:
    """Take the note out of a body.

    Raises
    ------
    InvalidTreatment
        If it is no text.
    """
    note = definition.pop("note", "")
    if not isinstance(note, str):
        raise InvalidTreatment([FieldError(path="note", code="treatment.invalid", message="The note must be a text.")])
    return note


class TransformationTest(serializers.Serializer):
    """A test: a message, and what must come out of it (null: filtered out)."""

    name = serializers.CharField(required=False)
    input = serializers.DictField()
    output = serializers.DictField(allow_null=True)


class TransformationStep(serializers.Serializer):
    """One step; which further members it has, its operation tells (docs/reference/transformations.md)."""

    op = serializers.ChoiceField(choices=["rename", "drop", "set", "filter", "map", "split", "join"])
    name = serializers.CharField(required=False)
    when = serializers.DictField(required=False, allow_null=True)
    tests = TransformationTest(many=True, required=False)


class TransformationsInput(serializers.Serializer):
    """Transformations to be saved or tried."""

    steps = TransformationStep(many=True)
    tests = TransformationTest(many=True, required=False)
    note = serializers.CharField(required=False)


class VersionSchema(serializers.Serializer):
    """What every version tells; version 0: there is none."""

    source = serializers.CharField()  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    version = serializers.IntegerField()
    in_force = serializers.BooleanField()
    note = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)


class TransformationsSchema(VersionSchema):
    """A version of a source's transformations."""

    steps = TransformationStep(many=True, required=False)
    tests = TransformationTest(many=True, required=False)


class TriedExample(serializers.Serializer):
    """One recent message before and after."""

    received_at = serializers.DateTimeField()
    quarantined_for = serializers.CharField(allow_null=True)
    before = serializers.DictField()
    after = serializers.DictField(allow_null=True)


class TriedSchema(serializers.Serializer):
    """What a definition would do to recent messages."""

    samples = serializers.IntegerField()
    changed = serializers.IntegerField()
    filtered_out = serializers.IntegerField()
    examples = TriedExample(many=True)
