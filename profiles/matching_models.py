"""The tables of fuzzy matching: models and their versions, questions and labels, runs and the review queue."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class MatchEngine(models.TextChoices):
    """What a version is learned with: dedupe from labels, or Splink without any, as a challenger that joins nothing."""

    DEDUPE = "dedupe"
    SPLINK = "splink"


class MatchModel(models.Model):
    """A matching model: which sources and traits, and the version in force.

    `wants_*_at` are what the worker of matching has been asked for and not done yet. `seed` makes its choices
    repeatable. `failed_step` is what has failed: why training did stays to be read until it is asked for again.
    `matched_change_id` is the change of profiles up to which new ones were matched, `followed_run_id` the run whose
    block keys are stored for them.

    Personal data: none.
    """

    class Status(models.TextChoices):
        PREPARING = "preparing"
        ASKING = "asking"
        TRAINING = "training"
        TRAINED = "trained"
        FAILED = "failed"

    class Step(models.TextChoices):
        QUESTIONS = "questions"
        TRAINING = "training"
        FOLLOWING = "following"

    objects: "models.Manager[MatchModel]"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    definition = models.JSONField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PREPARING)
    error = models.TextField(blank=True, default="")
    failed_step = models.CharField(max_length=10, choices=Step.choices, blank=True, default="")
    seed = models.PositiveIntegerField(default=1)
    wants_questions_at = models.DateTimeField(null=True)
    wants_training_at = models.DateTimeField(null=True)
    live_version = models.PositiveIntegerField(null=True)
    matched_change_id = models.BigIntegerField(default=0)
    followed_run_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return self.key


class MatchVersion(models.Model):
    """One trained state of a model: weights and rules as JSON, with the versions of the libraries and a keyed digest.

    `rarity` of values is computed from the records of each run, so the artefact holds no value of anybody.

    Personal data: none.
    """

    Engine = MatchEngine

    objects: "models.Manager[MatchVersion]"

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    engine = models.CharField(max_length=10, choices=MatchEngine.choices, default=MatchEngine.DEDUPE)
    artefact = models.TextField()
    digest = models.BinaryField()
    measured = models.JSONField(default=dict)
    labels = models.PositiveIntegerField()
    auto_link = models.FloatField(null=True)
    created_at = models.DateTimeField()
    promoted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "version"], name="profiles_matchversion_once")]

    def __str__(self) -> str:
        return f"version {self.version} of model {self.model_id}"


class MatchQuestion(models.Model):
    """A pair that the learner asks about, until somebody answers.

    `left_node` and `right_node` are identifiers that stand for the two records: they survive merges and splits.

    Personal data: pseudonymous ids of identifiers — erasure deletes the row.
    """

    objects: "models.Manager[MatchQuestion]"

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, related_name="questions")
    left_node = models.BigIntegerField(db_index=True)
    right_node = models.BigIntegerField(db_index=True)
    asked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "left_node", "right_node"], name="profiles_matchquestion_once")
        ]

    def __str__(self) -> str:
        return f"question {self.pk}"


class MatchLabel(models.Model):
    """What one person said of one pair; the portable truth that every version is trained from.

    Personal data: pseudonymous ids of identifiers — erasure deletes the row.
    """

    class Answer(models.TextChoices):
        SAME = "same"
        DIFFERENT = "different"
        UNSURE = "unsure"

    class Origin(models.TextChoices):
        QUESTION = "question"
        GIVEN = "given"
        REVIEW = "review"

    objects: "models.Manager[MatchLabel]"

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, related_name="labels")
    left_node = models.BigIntegerField(db_index=True)
    right_node = models.BigIntegerField(db_index=True)
    answer = models.CharField(max_length=10, choices=Answer.choices)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    actor = models.TextField()
    answered_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model", "left_node", "right_node", "actor"], name="profiles_matchlabel_once"
            )
        ]

    def __str__(self) -> str:
        return f"label {self.pk}"


class MatchRun(models.Model):
    """One matching of all records of a model.

    Personal data: none in this row.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        APPLYING = "applying"
        DONE = "done"
        FAILED = "failed"

    Engine = MatchEngine

    objects: "models.Manager[MatchRun]"

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, related_name="runs")
    version = models.PositiveIntegerField()
    engine = models.CharField(max_length=10, choices=MatchEngine.choices, default=MatchEngine.DEDUPE)
    apply = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    error = models.TextField(blank=True, default="")
    figures = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.TextField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"matching run {self.pk}"


class MatchedRecord(models.Model):
    """In which cluster a run put a record. `node` is the identifier of the record; null stands for a whole profile.

    Personal data: pseudonymous ids — erasure deletes the row.
    """

    objects: "models.Manager[MatchedRecord]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(MatchRun, on_delete=models.CASCADE, related_name="records", db_index=False)
    node = models.BigIntegerField(null=True)
    profile_id = models.BigIntegerField(db_index=True)
    cluster = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["run", "cluster"], name="profiles_matchedrecord_cluster")]

    def __str__(self) -> str:
        return f"matched record {self.pk}"


class MatchedPair(models.Model):
    """A pair of profiles that a run found likely enough to be kept, with its probability.

    Personal data: pseudonymous ids — erasure deletes the row.
    """

    objects: "models.Manager[MatchedPair]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(MatchRun, on_delete=models.CASCADE, related_name="pairs", db_index=False)
    left = models.BigIntegerField(db_index=True)
    right = models.BigIntegerField(db_index=True)
    probability = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["run", "probability"], name="profiles_matchedpair_likely")]

    def __str__(self) -> str:
        return f"matched pair {self.pk}"


class MatchCandidate(models.Model):
    """A pair of profiles in the review queue, with what each field contributes; a decided one does not come back.

    `left` and `right` are profile ids, the smaller first; `left_node` and `right_node` as for questions.

    Personal data: pseudonymous ids — erasure deletes the row.
    """

    class State(models.TextChoices):
        OPEN = "open"
        MERGED = "merged"
        DIFFERENT = "different"
        GONE = "gone"

    objects: "models.Manager[MatchCandidate]"

    id = models.BigAutoField(primary_key=True)
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, related_name="candidates", db_index=False)
    left = models.BigIntegerField(db_index=True)
    right = models.BigIntegerField(db_index=True)
    left_node = models.BigIntegerField(db_index=True)
    right_node = models.BigIntegerField(db_index=True)
    probability = models.FloatField()
    contributions = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    found_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "left_node", "right_node"], name="profiles_matchcandidate_once")
        ]
        indexes = [models.Index(fields=["state", "probability", "id"], name="profiles_matchcandidate_queue")]

    def __str__(self) -> str:
        return f"candidate {self.pk}"


class MatchKey(models.Model):
    """A block key of a profile under the rules of a model's live version: who shares one is compared.

    There are some twenty a profile, so nothing is stored beside them, and the primary key is their only index. No
    foreign key: checking millions of rows for one model costs more than writing them.

    Personal data: digests of parts of traits — erasure deletes the row.
    """

    objects: "models.Manager[MatchKey]"

    pk = models.CompositePrimaryKey("model", "key", "profile_id")
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    key = models.BigIntegerField()
    profile_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"block key {self.key}"


class MatchKeyList(models.Model):
    """All block keys of a profile, by which its rows of `MatchKey` are found.

    Personal data: digests of parts of traits — erasure deletes the row.
    """

    objects: "models.Manager[MatchKeyList]"

    pk = models.CompositePrimaryKey("profile_id", "model")
    model = models.ForeignKey(MatchModel, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    profile_id = models.BigIntegerField()
    keys = ArrayField(models.BigIntegerField())

    def __str__(self) -> str:
        return f"block keys of profile {self.profile_id}"


class MatchFrequencies(models.Model):
    """How many profiles of a model had each value, and each word of texts, when block keys were last stored.

    `digests` are keyed ones of 8 bytes, in ascending order, of what two or more have; `counts` are numbers of 4 bytes
    in the same order. `filled` says per column how many had a value. `seen_change_id` is the last change of profiles
    that is counted.

    Personal data: none — keyed digests of what several people have in common; each run replaces them.
    """

    objects: "models.Manager[MatchFrequencies]"

    model = models.OneToOneField(MatchModel, on_delete=models.CASCADE, primary_key=True, related_name="frequencies")
    size = models.PositiveIntegerField()
    filled = models.JSONField(default=dict)
    digests = models.BinaryField()
    counts = models.BinaryField()
    seen_change_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"frequencies of {self.size} profiles"
