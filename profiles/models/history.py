"""What happened to a profile, and the tokens by which others follow it."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class EventType(models.IntegerChoices):
    """What kind of message made the event."""

    TRACK = 1
    IDENTIFY = 2
    PAGE = 3
    SCREEN = 4
    GROUP = 5
    ALIAS = 6
    MERGE = 7


class Event(models.Model):
    """One accepted message on a profile's timeline. Partitioned by `occurred_at` (migration 0002).

    `identifiers` holds the ids of all identifiers that the message came with, strongest first, and never changes;
    `profile_id` is the component of the first. `id` equals the id of the message's outcome row.

    Personal data: behaviour, context, traits — erasure deletes the row.
    """

    pk = models.CompositePrimaryKey("id", "occurred_at")
    id = models.BigIntegerField()
    profile_id = models.BigIntegerField()
    type = models.SmallIntegerField(choices=EventType.choices)
    name = models.TextField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    original_timestamp = models.TextField(null=True)
    sent_at = models.DateTimeField(null=True)
    source_id = models.IntegerField()
    message_id = models.TextField()
    identifiers = ArrayField(models.BigIntegerField())
    properties = models.JSONField(null=True)
    traits = models.JSONField(null=True)
    context = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "profiles_event"

    def __str__(self) -> str:
        return f"event {self.id}"


class ChangeKind(models.IntegerChoices):
    """Kinds of the profile's history."""

    CREATED = 1
    MERGED = 2
    SPLIT = 3
    TRAITS = 4
    IDENTIFIERS = 5
    CONSENT = 6
    ENTERED = 7
    LEFT = 8
    ERASED = 9


class Change(models.Model):
    """The history of a profile, partitioned by day and kept `CDP_CHANGE_DAYS` (migration 0002).

    Personal data: pseudonymous id, names of traits — erasure deletes the row.
    """

    pk = models.CompositePrimaryKey("id", "at")
    id = models.BigIntegerField()
    profile_id = models.BigIntegerField()
    kind = models.SmallIntegerField(choices=ChangeKind.choices)
    at = models.DateTimeField()
    detail = models.JSONField()

    class Meta:
        managed = False
        db_table = "profiles_change"

    def __str__(self) -> str:
        return f"change {self.id}"


class Work(models.Model):
    """What changed on a profile, for those that follow: appended by each batch, taken by DELETE … SKIP LOCKED.

    Rows are appended rather than upserted, so that a writer never waits for a follower; the follower folds the rows of
    one profile. `names` are tokens such as `event:Order Completed`, `trait:plan`, `identifier:email`,
    `consent:marketing`, `segment:vip`, `list:staff`, and `created`, `merge`, `split`, which concern every segment.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    profile_id = models.BigIntegerField(db_index=True)
    names = ArrayField(models.TextField())
    since = models.DateTimeField()
    message_id = models.TextField(blank=True)

    class Meta:
        db_table = "profiles_work"

    def __str__(self) -> str:
        return f"work of profile {self.profile_id}"


class WorkInterest(models.Model):
    """A token that some follower depends on: changes that nobody depends on make no work rows.

    `event:*` stands for every event. While there is any row, `created`, `merge` and `split` make work as well.

    Personal data: none.
    """

    token = models.TextField(primary_key=True)

    def __str__(self) -> str:
        return self.token
