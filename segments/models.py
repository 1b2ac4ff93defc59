"""The tables of segments."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from cdp.core.models import User
from segments import sending_models  # noqa: F401 - so that Django finds them


class Segment(models.Model):
    """A named audience. `version` is the latest definition; `live_version` the one that membership was computed from.

    `owner` is who answers for it; none for those made by a key, or whose owner has left. `compute_seconds` is what
    looking at everyone took last; `stale` says that a change waits for that to happen again, where looking at some
    people only would not do.

    Personal data: a definition can name a person — erasure reports it for a decision.
    """

    class Status(models.TextChoices):
        DRAFT = "draft"
        LIVE = "live"
        ARCHIVED = "archived"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    purpose = models.SlugField(max_length=64, blank=True)
    channel = models.SlugField(max_length=32, blank=True)
    version = models.IntegerField(default=1)
    live_version = models.IntegerField(null=True)
    member_count = models.BigIntegerField(default=0)
    computed_at = models.DateTimeField(null=True)
    next_run_at = models.DateTimeField(null=True, db_index=True)
    compute_seconds = models.FloatField(default=0, db_default=0)
    stale = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()
    created_by = models.TextField(blank=True)
    owner = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    tags = ArrayField(models.TextField(), default=list)

    def __str__(self) -> str:
        return self.name


class SegmentVersion(models.Model):
    """One immutable version of a definition, with the tokens it depends on.

    Personal data: as for Segment.
    """

    id = models.AutoField(primary_key=True)
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="versions")
    version = models.IntegerField()
    definition = models.JSONField()
    tokens = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["segment", "version"], name="segments_version_once")]

    def __str__(self) -> str:
        return f"{self.segment_id} version {self.version}"


class Membership(models.Model):
    """A profile that is in a live segment now.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    pk = models.CompositePrimaryKey("segment_id", "profile_id")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="memberships", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"membership of {self.profile_id}"


class MembershipChange(models.Model):
    """An entry or exit, with its reason. `profile_uuid` is the public id at the time.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    class Kind(models.IntegerChoices):
        ENTERED = 1, "entered"
        LEFT = 2, "left"

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="changes", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)
    profile_uuid = models.UUIDField()
    kind = models.SmallIntegerField(choices=Kind.choices)
    at = models.DateTimeField()
    reason = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["segment", "at", "id"], name="segments_change_recent")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.segment_id}"


class NextCheck(models.Model):
    """The next moment at which a profile's membership could change by time alone.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    # By segment first: computing one anew compares all of its rows.
    pk = models.CompositePrimaryKey("segment_id", "profile_id")
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="next_checks", db_index=False)
    profile_id = models.BigIntegerField()
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"check of {self.profile_id} at {self.at}"


class ComputedTrait(models.Model):
    """A trait that is computed from what people did: its definition, and how current its values are.

    The fields about computing are those of Segment.

    Personal data: as for Segment.
    """

    class Status(models.TextChoices):
        DRAFT = "draft"
        LIVE = "live"
        ARCHIVED = "archived"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    definition = models.JSONField()
    tokens = models.JSONField(default=list)
    version = models.IntegerField(default=1)
    live_version = models.IntegerField(null=True)
    computed_at = models.DateTimeField(null=True)
    next_run_at = models.DateTimeField(null=True, db_index=True)
    compute_seconds = models.FloatField(default=0, db_default=0)
    stale = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField()
    created_by = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name


class TraitValue(models.Model):
    """A person's value of a computed trait, with the next moment at which time alone could change it.

    A value of None is the default; the row is there for its moment.

    Personal data: what is computed of behaviour — erasure deletes the row.
    """

    pk = models.CompositePrimaryKey("trait_id", "profile_id")
    trait = models.ForeignKey(ComputedTrait, on_delete=models.CASCADE, related_name="values", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)
    value = models.JSONField(null=True)
    next_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], name="segments_traitvalue_due", condition=models.Q(next_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"value of {self.profile_id}"


class StaticList(models.Model):
    """A list of people chosen by hand or by upload.

    Personal data: none in this row.
    """

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class ListUpload(models.Model):
    """A file of people that was put on a list: by which column, and how many of its rows became what.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(StaticList, on_delete=models.CASCADE, related_name="uploads")
    column = models.CharField(max_length=200)
    type = models.CharField(max_length=64)
    counts = models.JSONField()
    created_at = models.DateTimeField()
    created_by = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"upload {self.pk}"


class ListUploadRow(models.Model):
    """What became of one row of a file; the header is row 1.

    Personal data: none.
    """

    class Outcome(models.IntegerChoices):
        ADDED = 1, "added"
        KNOWN = 2, "known"
        UNMATCHED = 3, "unmatched"
        DUPLICATE = 4, "duplicate"
        BLANK = 5, "blank"

    pk = models.CompositePrimaryKey("upload_id", "row")
    upload = models.ForeignKey(ListUpload, on_delete=models.CASCADE, related_name="rows", db_index=False)
    row = models.IntegerField()
    outcome = models.SmallIntegerField(choices=Outcome.choices)

    def __str__(self) -> str:
        return f"row {self.row}: {self.get_outcome_display()}"


class ListMember(models.Model):
    """A profile on a static list.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    pk = models.CompositePrimaryKey("list_id", "profile_id")
    list = models.ForeignKey(StaticList, on_delete=models.CASCADE, related_name="members", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)
    identifier_id = models.BigIntegerField(null=True)
    added_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"list member {self.profile_id}"


class AbsorbedListMember(models.Model):
    """A place on a list that a merge made superfluous: the survivor was on it as well. A split gives it back.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(StaticList, on_delete=models.CASCADE, related_name="+")
    profile_id = models.BigIntegerField(db_index=True)
    identifier_id = models.BigIntegerField(null=True)
    added_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"absorbed list member {self.profile_id}"
