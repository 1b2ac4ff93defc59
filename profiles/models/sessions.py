"""Sessions: what people did at a source without a longer silence, derived from events."""

from django.db import models


class Session(models.Model):
    """A visit (`$session`): tracks, pages and screens of one person at one source, each soon after the one before.

    Derived from stored events only, by `services.sessions`: `id` and `occurred_at` are those of the first event,
    `ended_at` is the time of the last, `events` their number, `campaign` what the context of the first says of one.

    Personal data: behaviour — erasure deletes the row with the events that it comes from.
    """

    objects: "models.Manager[Session]"

    pk = models.CompositePrimaryKey("profile_id", "source_id", "occurred_at")
    profile_id = models.BigIntegerField()
    occurred_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    id = models.BigIntegerField()
    source_id = models.IntegerField()
    events = models.IntegerField()
    campaign = models.JSONField(null=True)

    class Meta:
        # What a longer visit changes (`ended_at`, `events`) is in no index, so that its row is changed in place.
        indexes = [models.Index(fields=["occurred_at"], include=["profile_id"], name="profiles_session_began")]

    def __str__(self) -> str:
        return f"session {self.id}"


class SessionGap(models.Model):
    """One row: by what silence, in minutes, the kept sessions are told apart.

    Personal data: none.
    """

    objects: "models.Manager[SessionGap]"

    minutes = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.minutes} minutes"
