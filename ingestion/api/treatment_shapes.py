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


class PlanRule(serializers.Serializer):
    """What is planned for one event."""

    type = serializers.CharField(help_text="track, identify, group, page, screen or common")
    event = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    labels = serializers.DictField(required=False)
    version = serializers.IntegerField(required=False)
    schema = serializers.DictField(required=False, help_text="JSON Schema 2020-12 of the properties, or of the traits")
    context = serializers.DictField(  # type: ignore[assignment]  # a member of that name, not DRF's attribute
        required=False, help_text="JSON Schema 2020-12 of the context"
    )


class PlanPolicies(serializers.Serializer):
    """What happens to what breaks the plan."""

    violation = serializers.CharField(required=False, help_text="allow, drop or quarantine")
    unplanned_property = serializers.CharField(required=False, help_text="allow, drop or quarantine")
    unplanned_event = serializers.CharField(required=False, help_text="allow, drop or quarantine")


class PlanAllow(serializers.Serializer):
    """Fields that may be kept beside the planned ones; null: all."""

    properties = serializers.ListField(child=serializers.CharField(), allow_null=True, required=False)
    traits = serializers.ListField(child=serializers.CharField(), allow_null=True, required=False)
    context = serializers.ListField(  # type: ignore[assignment]  # a member of that name, not DRF's attribute
        child=serializers.CharField(), allow_null=True, required=False
    )


class PlanInput(serializers.Serializer):
    """A plan to be saved or tried."""

    name = serializers.CharField(required=False)
    rules = PlanRule(many=True)
    policies = PlanPolicies(required=False)
    allow = PlanAllow(required=False)
    note = serializers.CharField(required=False)
    accept_losses = serializers.BooleanField(required=False)


class NewPlan(PlanInput):
    """A plan and its source."""

    source = serializers.CharField()  # type: ignore[assignment]  # as above


class PlanSchema(VersionSchema):
    """A version of a source's plan."""

    name = serializers.CharField(required=False)
    rules = PlanRule(many=True, required=False)
    policies = PlanPolicies(required=False)
    allow = PlanAllow(required=False)


class FindingSchema(serializers.Serializer):
    """How often a rule was broken at a place."""

    hour = serializers.DateTimeField(required=False)
    type = serializers.CharField()
    event = serializers.CharField(allow_blank=True)
    path = serializers.CharField(allow_blank=True)
    rule = serializers.CharField()
    action = serializers.CharField(help_text="allow, drop or quarantine")
    count = serializers.IntegerField()


class PlanCheckSchema(serializers.Serializer):
    """A plan held against recent messages."""

    samples = serializers.IntegerField()
    newly_stopped = serializers.IntegerField()
    rules = FindingSchema(many=True)


class SavedPlanSchema(PlanSchema):
    """A saved plan and what it would have said to recent messages."""

    check = PlanCheckSchema()


class PlanTriedSchema(PlanCheckSchema):
    """A plan held against recent messages, with examples."""

    changed = serializers.IntegerField()
    examples = TriedExample(many=True)


class DiscoveredSchema(serializers.Serializer):
    """An event (property empty) or property that was seen; examples are shapes, never values."""

    type = serializers.CharField()
    event = serializers.CharField(allow_blank=True)
    property = serializers.CharField(allow_blank=True)
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    volume = serializers.IntegerField()
    types = serializers.ListField(child=serializers.CharField())
    examples = serializers.ListField(child=serializers.CharField())


class CleaningStep(serializers.Serializer):
    """One normaliser for one field (docs/reference/cleaning.md)."""

    field = serializers.CharField()
    normaliser = serializers.CharField()
    options = serializers.DictField(required=False)
    on_invalid = serializers.ChoiceField(choices=["keep", "drop"], required=False)
    to = serializers.CharField(required=False)
    name = serializers.CharField(required=False)
    when = serializers.DictField(required=False, allow_null=True)
    tests = serializers.ListField(child=serializers.DictField(), required=False)


class CleaningInput(serializers.Serializer):
    """Cleaning to be saved or tried."""

    steps = CleaningStep(many=True)
    note = serializers.CharField(required=False)


class CleaningSchema(VersionSchema):
    """A version of a source's cleaning."""

    steps = CleaningStep(many=True, required=False)


class CleaningTriedSchema(TriedSchema):
    """What cleaning would do to recent messages."""

    not_clean = FindingSchema(many=True)
