"""Shapes of fuzzy matching, for OpenAPI and for reading input."""

from typing import Any

from rest_framework import serializers

from profiles.matching.fields import COMPARISONS
from profiles.matching.spec import MODES
from profiles.matching_models import MatchCandidate, MatchEngine, MatchModel, MatchRun

ANSWERS = ("same", "different", "unsure")
MOST_ANSWERS, MOST_LABELS = 1_000, 10_000


class MatchFieldSchema(serializers.Serializer):
    """A trait and the comparison for it."""

    trait = serializers.CharField(max_length=200)
    comparison = serializers.ChoiceField(choices=COMPARISONS)


class NewMatchModel(serializers.Serializer):
    """What is to be matched, and how."""

    key = serializers.RegexField(r"^[A-Za-z0-9_-]{1,64}$")
    name = serializers.CharField(max_length=120, required=False)
    sources = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Keys; none: every profile."
    )
    fields = MatchFieldSchema(many=True)  # type: ignore[assignment]  # a member of that name, not DRF's attribute
    mode = serializers.ChoiceField(choices=MODES, required=False)
    auto_link_precision = serializers.FloatField(
        required=False, help_text="What the lower 95 % bound of precision must reach; default 0.995."
    )


class LabelCounts(serializers.Serializer):
    """How many labels there are of each answer."""

    same = serializers.IntegerField()
    different = serializers.IntegerField()
    unsure = serializers.IntegerField()


class MatchModelSchema(serializers.Serializer):
    """A matching model."""

    key = serializers.CharField()
    name = serializers.CharField()
    sources = serializers.ListField(child=serializers.CharField())
    fields = MatchFieldSchema(many=True)  # type: ignore[assignment]  # as above
    mode = serializers.ChoiceField(choices=MODES)
    auto_link_precision = serializers.FloatField()
    status = serializers.ChoiceField(choices=MatchModel.Status.choices)
    error = serializers.CharField()
    version = serializers.IntegerField(allow_null=True, help_text="The version in force.")
    labels = LabelCounts()
    open_questions = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class RecordSchema(serializers.Serializer):
    """A record: `SOURCE/KEY` of an import, or the profile's id; traits masked without `personal_data:read`."""

    record_id = serializers.CharField(allow_null=True)
    profile_id = serializers.UUIDField(allow_null=True)
    traits = serializers.DictField()


class QuestionSchema(serializers.Serializer):
    """Are these two the same?"""

    id = serializers.CharField()
    left = RecordSchema()
    right = RecordSchema()


class QuestionPage(serializers.Serializer):
    """Open questions, the most informative first. Without any: ask again in a moment."""

    results = QuestionSchema(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    status = serializers.ChoiceField(choices=MatchModel.Status.choices)


class AnswerSchema(serializers.Serializer):
    """An answer to a question."""

    id = serializers.CharField(max_length=20)
    answer = serializers.ChoiceField(choices=ANSWERS)


class AnswersRequest(serializers.Serializer):
    """Answers to questions."""

    answers = AnswerSchema(many=True, max_length=MOST_ANSWERS)  # type: ignore[call-arg]  # of the list


class AnswersTaken(serializers.Serializer):
    """How many answers were taken, and the ids of questions that were not open."""

    taken = serializers.IntegerField()
    not_open = serializers.ListField(child=serializers.CharField())


class GivenLabelSchema(serializers.Serializer):
    """What somebody knows of two records."""

    left = serializers.CharField(max_length=600)
    right = serializers.CharField(max_length=600)
    answer = serializers.ChoiceField(choices=ANSWERS)


class LabelsRequest(serializers.Serializer):
    """Labels for named records."""

    pairs = GivenLabelSchema(many=True, max_length=MOST_LABELS)  # type: ignore[call-arg]  # of the list


class LabelsTaken(serializers.Serializer):
    """How many labels were taken."""

    taken = serializers.IntegerField()


class LabelSchema(serializers.Serializer):
    """A label; a record that is gone is null."""

    left = serializers.CharField(allow_null=True)
    right = serializers.CharField(allow_null=True)
    answer = serializers.ChoiceField(choices=ANSWERS)
    origin = serializers.CharField(help_text="question, given or review")
    actor = serializers.CharField()
    answered_at = serializers.DateTimeField()


class MatchVersionSchema(serializers.Serializer):
    """A trained version with what was measured on labels that it did not learn from.

    `f1_on_frozen` of `measured` is on the `frozen_labels` that the version in force knew: by it versions are compared.
    """

    version = serializers.IntegerField()
    engine = serializers.ChoiceField(choices=MatchEngine.choices)
    in_force = serializers.BooleanField()
    labels = serializers.IntegerField()
    auto_link = serializers.FloatField(allow_null=True)
    measured = serializers.DictField()
    created_at = serializers.DateTimeField()
    promoted_at = serializers.DateTimeField(allow_null=True)


class NewMatchRun(serializers.Serializer):
    """Whether the run joins what is in the auto-link zone, and what scores it."""

    apply = serializers.BooleanField(default=False)
    engine = serializers.ChoiceField(
        choices=MatchEngine.choices,
        default=MatchEngine.DEDUPE,
        help_text="splink: fitted without labels, beside the version in force or to begin with; it joins nothing.",
    )


class DriftSchema(serializers.Serializer):
    """How far probabilities (population stability index), and how filled fields are, moved since the run before."""

    since = serializers.IntegerField()
    same_version = serializers.BooleanField()
    probabilities = serializers.FloatField()
    filled = serializers.DictField(child=serializers.FloatField())


class BlockingSchema(serializers.Serializer):
    """What a blocking rule gave, and what the cap on blocks dropped."""

    rule = serializers.CharField()
    pairs = serializers.IntegerField()
    dropped_blocks = serializers.IntegerField()
    dropped_records = serializers.IntegerField()
    dropped_pairs = serializers.IntegerField()


class BesideSchema(serializers.Serializer):
    """How many candidates the version in force and a challenger take for one person: both, or one of them only."""

    version = serializers.IntegerField()
    both = serializers.IntegerField()
    only_in_force = serializers.IntegerField()
    only_challenger = serializers.IntegerField()


class MatchRunSchema(serializers.Serializer):
    """A run; figures are null until it is done."""

    id = serializers.CharField()
    status = serializers.ChoiceField(choices=MatchRun.Status.choices)
    error = serializers.CharField()
    apply = serializers.BooleanField()
    engine = serializers.ChoiceField(choices=MatchEngine.choices)
    version = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)
    cpu_seconds = serializers.FloatField(allow_null=True)
    peak_memory_bytes = serializers.IntegerField(allow_null=True)
    records = serializers.IntegerField(allow_null=True)
    candidates = serializers.IntegerField(allow_null=True)
    clusters = serializers.IntegerField(allow_null=True)
    largest_cluster = serializers.IntegerField(allow_null=True)
    labels_used = serializers.IntegerField(allow_null=True)
    merged = serializers.IntegerField(allow_null=True)
    auto_link = serializers.FloatField(allow_null=True, help_text="From this probability on pairs are joined unseen.")
    block_recall = serializers.FloatField(allow_null=True)
    steps = serializers.DictField()
    blocking = BlockingSchema(many=True)
    drift = DriftSchema(allow_null=True)
    beside = BesideSchema(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class CandidateSchema(serializers.Serializer):
    """A pair in the review queue, with what each field contributes to its match weight, in bits."""

    id = serializers.CharField()
    model = serializers.CharField()
    probability = serializers.FloatField()
    state = serializers.ChoiceField(choices=MatchCandidate.State.choices)
    left = RecordSchema()
    right = RecordSchema()
    contributions = serializers.DictField()
    found_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField()


class DecisionRequest(serializers.Serializer):
    """Whether the two are one person."""

    decision = serializers.ChoiceField(choices=("same", "different"))
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True)


class BulkRule(serializers.Serializer):
    """Which open pairs are decided at once; a dry run only counts them."""

    model = serializers.CharField()
    decision = serializers.ChoiceField(choices=("same", "different"))
    least = serializers.FloatField(min_value=0, max_value=1, required=False)
    most = serializers.FloatField(min_value=0, max_value=1, required=False)
    dry_run = serializers.BooleanField(default=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what it does not know: a bound that is misspelt would take in every pair."""
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "A rule has no such bound."))
        return attrs


class BulkDone(serializers.Serializer):
    """How many pairs the rule takes in, and how many were decided."""

    pairs = serializers.IntegerField()
    decided = serializers.IntegerField()
