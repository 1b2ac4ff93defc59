"""Who a person is known as: identifiers with their types, profiles, activity, groups."""

from django.db import models


class IdentifierType(models.Model):
    """A kind of identifier with the rules in force for it. `profiles.identity.rules` tells what each one means.

    `blocked_values` and `blocked_patterns` are what is never an identifier; `source_kinds` are the kinds of sources
    that may assert one (None: all); `limit_window` is "" where the limit counts for ever.

    Personal data: none.
    """

    id = models.SmallAutoField(primary_key=True)
    key = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    priority = models.PositiveSmallIntegerField()
    value_limit = models.PositiveIntegerField(null=True, blank=True)
    sharing_limit = models.PositiveIntegerField(null=True, blank=True)
    blocked_values = models.JSONField(default=list, blank=True)
    normaliser = models.CharField(max_length=20, default="text")
    limit_window = models.CharField(max_length=10, blank=True, default="")
    blocked_patterns = models.JSONField(default=list, blank=True)
    source_kinds = models.JSONField(null=True, blank=True)
    link_purpose = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(priority__gte=1), name="profiles_identifiertype_priority")
        ]

    def __str__(self) -> str:
        return self.name


class Profile(models.Model):
    """One person. An absorbed or erased profile is a deleted row.

    `uuid` is the public id and moves with the survivor; `id` stays with the side that has more events. `traits` maps
    names to values; `trait_meta` maps them to `[source_id, occurred_at, received_at]` (times in epoch microseconds) and
    what a rule of survivorship needs beside (`survivorship.folding`).
    A trait that was unset stays in `trait_meta`, so that an older message cannot bring it back.

    Personal data: traits — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(unique=True)
    created_at = models.DateTimeField()
    restricted = models.BooleanField(default=False)
    traits = models.JSONField(default=dict)
    trait_meta = models.JSONField(default=dict)

    def __str__(self) -> str:
        return str(self.uuid)


class Activity(models.Model):
    """First and last event and their number, apart from the profile so that an event rewrites a narrow row only.

    Personal data: times of behaviour — erasure deletes the row.
    """

    profile = models.OneToOneField(
        Profile, on_delete=models.CASCADE, primary_key=True, related_name="activity", db_constraint=False
    )
    first_event_at = models.DateTimeField()
    last_event_at = models.DateTimeField()
    event_count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.event_count} events"


class Identifier(models.Model):
    """A value that names a person, and the profile that holds it.

    `lookup` is the first 16 bytes of `cdp.core.digests.identifier_digest`. `alias_state` is set on an anonymous_id that
    a secret-key `alias` named as previousId: the user_id of that value, should it arrive, belongs here too.

    Personal data: the identifier — erasure deletes the row.
    """

    class AliasState(models.IntegerChoices):
        NONE = 0
        NAMED_ONLY = 1  # known from the alias alone: it becomes the user_id
        ALSO_SEEN = 2  # also seen as an anonymousId: the user_id is added beside it

    id = models.BigAutoField(primary_key=True)
    # No database constraint: checking it for each row costs the hot path more than the insert itself.
    type = models.ForeignKey(IdentifierType, on_delete=models.PROTECT, db_index=False, db_constraint=False)
    lookup = models.BinaryField(unique=True)
    value = models.TextField()
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="identifiers", db_constraint=False)
    first_seen_at = models.DateTimeField()
    source_id = models.IntegerField()
    verified = models.BooleanField(default=False)
    alias_state = models.SmallIntegerField(choices=AliasState.choices, default=AliasState.NONE)
    # Asserted by too many: it joins nothing (`QuarantinedValue`). Or a person said that it may be shared by any number.
    quarantined = models.BooleanField(default=False, db_default=False)
    may_be_shared = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["alias_state"], name="profiles_identifier_aliases", condition=models.Q(alias_state__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"identifier {self.pk}"


class Group(models.Model):
    """What `group` calls named by one groupId: an account, a company, a household. Never a reason to merge people.

    `traits` and `trait_meta` are as those of a profile: the most recent statement of each name wins.

    Personal data: none in this row.
    """

    id = models.BigAutoField(primary_key=True)
    group_id = models.TextField(unique=True)
    traits = models.JSONField(default=dict)
    trait_meta = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"group {self.pk}"


class GroupMembership(models.Model):
    """A profile belongs to a group: said with this identifier, and so moving with it when profiles are split.

    Personal data: pseudonymous id, the group — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships", db_index=False)
    profile = models.ForeignKey(
        Profile, on_delete=models.CASCADE, related_name="group_memberships", db_constraint=False
    )
    identifier_id = models.BigIntegerField(db_index=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "identifier_id"], name="profiles_groupmembership_once")]

    def __str__(self) -> str:
        return f"group membership {self.pk}"
