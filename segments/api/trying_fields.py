"""Input and shapes of trying definitions."""

from rest_framework import serializers

from segments.api.fields import DefinitionField, ExplanationSchema, PreviewRequest, StrictSerializer

MAX_PINNED = 20


class PeopleRequest(PreviewRequest):
    """A definition, and the people to explain it on; without them, on some of its members."""

    profile_ids = serializers.ListField(
        child=serializers.UUIDField(), max_length=MAX_PINNED, required=False, allow_null=True
    )


class ReachRequest(PreviewRequest):
    """A definition, and the purpose to reach people for; without it, every purpose."""

    purpose = serializers.CharField(max_length=64, required=False, allow_null=True, allow_blank=True)


class SideRequest(StrictSerializer):
    """A group: a segment by its key, or a definition."""

    key = serializers.CharField(max_length=64, required=False)
    definition = DefinitionField(required=False)


class CompareRequest(StrictSerializer):
    """Two groups and a trait."""

    left = SideRequest()
    right = SideRequest()
    trait = serializers.CharField(max_length=200)


class UncastableSchema(serializers.Serializer):
    """Values that a row could not read, and how many people, or latest events, have one."""

    field = serializers.CharField()
    cast = serializers.CharField()
    events = serializers.CharField(allow_null=True)
    count = serializers.IntegerField(allow_null=True)


class RowSchema(serializers.Serializer):
    """What a row does; of small groups no counts to whoever may not see persons."""

    path = serializers.CharField()
    sentence = serializers.CharField()
    count = serializers.IntegerField(allow_null=True)
    left_after = serializers.IntegerField(allow_null=True)
    without = serializers.IntegerField(allow_null=True)
    difference = serializers.IntegerField(allow_null=True)
    uncastable = UncastableSchema(many=True)


class RowsAnswer(serializers.Serializer):
    """What each row does."""

    count = serializers.IntegerField(allow_null=True)
    rows = RowSchema(many=True)
    now = serializers.DateTimeField()


class ExplainedSchema(serializers.Serializer):
    """A person with the result of every row."""

    profile = serializers.DictField()
    member = serializers.BooleanField()
    tree = ExplanationSchema(many=True)


class PeopleAnswer(serializers.Serializer):
    """People with the result of every row."""

    people = ExplainedSchema(many=True)
    now = serializers.DateTimeField()


class ChannelReachSchema(serializers.Serializer):
    """How many are left on a channel after each question."""

    purpose = serializers.CharField()
    channel = serializers.CharField(allow_null=True)
    matching = serializers.IntegerField(allow_null=True)
    has_address = serializers.IntegerField(allow_null=True)
    consented = serializers.IntegerField(allow_null=True)
    not_suppressed = serializers.IntegerField(allow_null=True)


class ReachAnswer(serializers.Serializer):
    """Whom channels reach; of small groups no counts to whoever may not see persons."""

    count = serializers.IntegerField(allow_null=True)
    channels = ChannelReachSchema(many=True)
    now = serializers.DateTimeField()


class PairSchema(serializers.Serializer):
    """People of both groups; of small ones no counts to whoever may not see persons."""

    left = serializers.IntegerField(allow_null=True)
    right = serializers.IntegerField(allow_null=True)


class ComparedValueSchema(PairSchema):
    """A value with its shares."""

    value = serializers.CharField(allow_null=True)
    left_share = serializers.FloatField(allow_null=True)
    right_share = serializers.FloatField(allow_null=True)


class NumbersSchema(serializers.Serializer):
    """The course of a trait's numbers: quantiles .1, .25, .5, .75, .9."""

    known = serializers.IntegerField(allow_null=True)
    least = serializers.FloatField(allow_null=True)
    most = serializers.FloatField(allow_null=True)
    mean = serializers.FloatField(allow_null=True)
    quantiles = serializers.ListField(child=serializers.FloatField())


class NumbersPairSchema(serializers.Serializer):
    """The numbers of both groups."""

    left = NumbersSchema()
    right = NumbersSchema()


class CompareAnswer(serializers.Serializer):
    """Two groups by a trait."""

    trait = serializers.CharField()
    counts = PairSchema()
    values = ComparedValueSchema(many=True)
    others = PairSchema()
    numbers = NumbersPairSchema(allow_null=True)


class ValueSchema(serializers.Serializer):
    """A value with how many people have it."""

    value = serializers.CharField()
    count = serializers.IntegerField()


class ValuesAnswer(serializers.Serializer):
    """The most frequent values."""

    values = ValueSchema(many=True)


class SizeDaySchema(serializers.Serializer):
    """A day of a segment: its size at the end, and who came and went."""

    date = serializers.DateField()
    size = serializers.IntegerField(allow_null=True)
    entered = serializers.IntegerField(allow_null=True)
    left = serializers.IntegerField(allow_null=True)


class SizesAnswer(serializers.Serializer):
    """The days of a segment."""

    days = SizeDaySchema(many=True)
