"""The tables of identity, traits and events. `docs/explanation/architecture.md` tells how they are written."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from profiles import matching_models, sealed_models  # noqa: F401 - Django looks for models here


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


class TraitRules(models.Model):
    """A version of the rules of survivorship, which of several statements about a trait is believed; the last counts.

    `definition` is in the form of `survivorship.rules.read_definition`.

    Personal data: none.
    """

    objects: "models.Manager[TraitRules]"

    version = models.PositiveIntegerField(primary_key=True)
    definition = models.JSONField()
    note = models.TextField(blank=True)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return f"trait rules version {self.version}"


class Correction(models.Model):
    """A trait put right by hand: it stands above every message until it is lifted.

    `statement` is `{"value", "reason"}`; the value null keeps the trait empty. `identifier_id` is the strongest
    identifier that the profile had: with it the correction moves when profiles are split.

    Personal data: the trait — erasure deletes the row.
    """

    objects: "models.Manager[Correction]"

    id = models.BigAutoField(primary_key=True)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="corrections", db_constraint=False)
    identifier_id = models.BigIntegerField(db_index=True)
    trait = models.TextField()
    # One column, because erasure takes mentions of others out of JSON.
    statement = models.JSONField()
    actor = models.TextField()
    created_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"correction {self.pk}"


class AbsorbedId(models.Model):
    """A public id that was absorbed by a merge and goes on resolving to the survivor.

    `dropped_id` is the internal id that went: history written under it is still the person's.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    uuid = models.UUIDField(primary_key=True)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="absorbed_ids", db_constraint=False)
    dropped_id = models.BigIntegerField()
    merge = models.ForeignKey("Merge", on_delete=models.CASCADE, related_name="+")

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


class Edge(models.Model):
    """A statement that two identifiers belong to one person. A profile is a component over the active edges.

    A blocked edge is one that was taken back, until somebody lifts it; `blocked_for` tells by which act. One of the
    kind `APART` was never active: it keeps the whole profiles of its two identifiers apart.
    A refused one was stated and left out, by a limit or because a value is quarantined: it counts for sharing limits,
    and rules that change are tried on it.

    Personal data: links between identifiers — erasure deletes the row.
    """

    APART = 6

    class State(models.IntegerChoices):
        ACTIVE = 1
        RETRACTED = 2
        BLOCKED = 3
        REFUSED = 4

    id = models.BigAutoField(primary_key=True)
    a = models.BigIntegerField()
    b = models.BigIntegerField(db_index=True)
    kind = models.SmallIntegerField()
    rule = models.TextField()
    message_id = models.TextField(blank=True)
    source_id = models.IntegerField()
    created_at = models.DateTimeField()
    state = models.SmallIntegerField(choices=State.choices, default=State.ACTIVE)
    merge = models.ForeignKey("Merge", null=True, on_delete=models.SET_NULL, related_name="edges", db_constraint=False)
    blocked_at = models.DateTimeField(null=True)
    blocked_by = models.TextField(blank=True, db_default="")
    blocked_for = models.TextField(blank=True, db_default="")
    block_reason = models.TextField(blank=True, db_default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["a", "b"], name="profiles_edge_pair")]
        indexes = [
            models.Index(fields=["a"], name="profiles_edge_blocked_a", condition=models.Q(state=3)),
            models.Index(fields=["a"], name="profiles_edge_apart", condition=models.Q(state=3, kind=6)),
            models.Index(fields=["a", "b"], name="profiles_edge_refused", condition=models.Q(state=4)),
        ]

    def __str__(self) -> str:
        return f"edge {self.pk}"


class Merge(models.Model):
    """A row of the merge ledger: which public id survived, which was absorbed, why, and whether it was undone.

    `absorbed_profile_id` is the internal id that the absorbed side had. One of the two internal ids was dropped
    (`AbsorbedId.dropped_id`); an undo gives it back to the side that had it. While `state` is pending, events are being
    moved: by the merge, or by its undo if `undone_at` is set.

    Personal data: pseudonymous ids and the message id — erasure deletes the row.
    """

    class Kind(models.IntegerChoices):
        RULE = 1
        ALIAS = 2
        STEWARD = 3
        MODEL = 4
        IMPORT = 5

    class State(models.IntegerChoices):
        DONE = 1
        PENDING = 2

    id = models.BigAutoField(primary_key=True)
    survivor_uuid = models.UUIDField(db_index=True)
    absorbed_uuid = models.UUIDField(db_index=True)
    kind = models.SmallIntegerField(choices=Kind.choices)
    rule = models.TextField(blank=True)
    message_id = models.TextField(blank=True)
    score = models.FloatField(null=True, blank=True)
    actor = models.TextField(blank=True)
    created_at = models.DateTimeField(db_index=True)
    state = models.SmallIntegerField(choices=State.choices, default=State.DONE)
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.TextField(blank=True, db_default="")
    absorbed_profile_id = models.BigIntegerField(null=True)
    absorbed_created_at = models.DateTimeField()
    absorbed_identifier_ids = ArrayField(models.BigIntegerField(), default=list)

    def __str__(self) -> str:
        return f"merge {self.pk}"


class Refusal(models.Model):
    """A row of the ledger for what was not joined: which limit or rule, and which message asked for it.

    `value_limit` is how many values of the type a profile might hold then, where that was the reason.

    Personal data: the identifier that was left out — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    profile_uuids = ArrayField(models.UUIDField())
    identifier_type = models.TextField()
    identifier_value = models.TextField()
    reason = models.TextField()
    rule = models.TextField(blank=True)
    message_id = models.TextField(blank=True)
    source_id = models.IntegerField()
    created_at = models.DateTimeField(db_index=True)
    value_limit = models.IntegerField(null=True)

    class Meta:
        indexes = [GinIndex(fields=["profile_uuids"], name="profiles_refusal_profiles", fastupdate=False)]

    def __str__(self) -> str:
        return f"refusal {self.pk}"


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


class OrderMessage(models.Model):
    """Which stored event speaks of which order: a track named as in `services.orders.ORDER_EVENTS`, with an order id.

    `order_id` is `profiles_order_id(properties)`, `event_id` and `occurred_at` are the event's key.

    Personal data: as for Order.
    """

    event_id = models.BigIntegerField(primary_key=True)
    occurred_at = models.DateTimeField()
    source_id = models.IntegerField()
    order_id = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["source_id", "order_id"], name="profiles_ordermessage_order")]

    def __str__(self) -> str:
        return f"order message {self.event_id}"


class Order(models.Model):
    """The order view (`$order`): the first `Order Completed` of a source and order id, with what followed it.

    Derived from stored events only, by `services.orders`: `id`, `profile_id`, `occurred_at` and `context` are those of
    that event; `properties` are brought up to date, `revenue` and `total` after cancellations and refunds. `converted`
    is the revenue in `base_currency`; None if there is no amount or no rate for it.

    Personal data: purchases — erasure deletes the row with the events that it comes from.
    """

    objects: "models.Manager[Order]"

    id = models.BigIntegerField(primary_key=True)
    profile_id = models.BigIntegerField()
    source_id = models.IntegerField()
    order_id = models.TextField()
    occurred_at = models.DateTimeField()
    currency = models.TextField()
    base_currency = models.TextField()
    revenue = models.DecimalField(max_digits=42, decimal_places=12, null=True)
    converted = models.DecimalField(max_digits=42, decimal_places=12, null=True)
    properties = models.JSONField()
    context = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_id", "order_id"], name="profiles_order_once")]
        indexes = [models.Index(fields=["profile_id", "occurred_at"], name="profiles_order_of_profile")]

    def __str__(self) -> str:
        return f"order {self.id}"


class ExchangeRate(models.Model):
    """What one unit of a currency was worth in the installation's currency from a day on, until the next row.

    Personal data: none.
    """

    objects: "models.Manager[ExchangeRate]"

    id = models.BigAutoField(primary_key=True)
    currency = models.CharField(max_length=3)
    valid_on = models.DateField()
    rate = models.DecimalField(max_digits=24, decimal_places=12)
    created_at = models.DateTimeField()
    created_by = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["currency", "valid_on"], name="profiles_exchangerate_day"),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="profiles_exchangerate_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.valid_on}"


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


class QuarantinedValue(models.Model):
    """An identifier that joins nothing: too many accounts or records asserted it, or a rule blocks its value by now.

    `separated_at` is when what it had joined was taken apart. A row with `lifted_at` keeps the value out of quarantine.

    Personal data: pseudonymous id of an identifier — erasure deletes the row with the identifier.
    """

    class Reason(models.TextChoices):
        SHARED = "shared"
        BLOCKED = "blocked"

    objects: "models.Manager[QuarantinedValue]"

    identifier = models.OneToOneField(
        Identifier, on_delete=models.CASCADE, primary_key=True, related_name="quarantine", db_constraint=False
    )
    type = models.ForeignKey(IdentifierType, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    reason = models.CharField(max_length=10, choices=Reason.choices, default=Reason.SHARED, db_default=Reason.SHARED)
    asserted_by = models.PositiveIntegerField(default=0, db_default=0)
    sharing_limit = models.PositiveIntegerField(null=True, blank=True)
    quarantined_at = models.DateTimeField()
    actor = models.TextField(default="system")
    separated_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["identifier"],
                name="profiles_quarantine_waiting",
                condition=models.Q(separated_at__isnull=True, lifted_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"quarantine of identifier {self.pk}"


class RulesVersion(models.Model):
    """One version of the identity rules as a whole; it never changes. `IdentitySettings` names the one in force.

    Personal data: none.
    """

    objects: "models.Manager[RulesVersion]"

    version = models.PositiveIntegerField(primary_key=True)
    definition = models.JSONField()
    note = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.TextField()

    def __str__(self) -> str:
        return f"identity rules version {self.version}"


class RulesRun(models.Model):
    """Trying rules on what is there (a dry run), or putting them into practice; steps are done by a job.

    `before` and `after` are definitions; `counts` holds merge, split, refuse, quarantine, lift, and what was examined.

    Personal data: none in this row.
    """

    objects: "models.Manager[RulesRun]"

    class Kind(models.TextChoices):
        DRY = "dry"
        APPLY = "apply"

    class Status(models.TextChoices):
        SELECTING = "selecting"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.SELECTING)
    version = models.PositiveIntegerField()
    before = models.JSONField()
    after = models.JSONField()
    position = models.JSONField(default=dict)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)
    chunk = models.PositiveIntegerField(default=200)
    busy_ms = models.PositiveIntegerField(default=0)
    longest_ms = models.PositiveIntegerField(default=0)
    actor = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} run {self.pk} of identity rules"


class RulesRunProfile(models.Model):
    """A profile that a run has still to look at; deleted once it has.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    objects: "models.Manager[RulesRunProfile]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RulesRun, on_delete=models.CASCADE, related_name="waiting", db_index=False)
    profile_id = models.BigIntegerField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "profile_id"], name="profiles_rulesrunprofile_once")]

    def __str__(self) -> str:
        return f"profile {self.profile_id} of run {self.run_id}"


class RulesRunValue(models.Model):
    """A value whose standing a run changes: it would be quarantined, lifted from quarantine, or blocked.

    Personal data: pseudonymous id of an identifier — erasure deletes the row.
    """

    class Change(models.IntegerChoices):
        QUARANTINE = 1
        LIFT = 2
        BLOCK = 3

    objects: "models.Manager[RulesRunValue]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RulesRun, on_delete=models.CASCADE, related_name="values", db_index=False)
    identifier_id = models.BigIntegerField(db_index=True)
    change = models.SmallIntegerField(choices=Change.choices)
    asserted_by = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "identifier_id"], name="profiles_rulesrunvalue_once")]

    def __str__(self) -> str:
        return f"value {self.identifier_id} of run {self.run_id}"


class RulesExample(models.Model):
    """One merge, split or refusal that a run found or made, with the public ids of the profiles concerned.

    Personal data: pseudonymous ids — erasure deletes the row.
    """

    objects: "models.Manager[RulesExample]"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RulesRun, on_delete=models.CASCADE, related_name="examples")
    kind = models.CharField(max_length=10)
    profile_uuids = ArrayField(models.UUIDField())
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [GinIndex(fields=["profile_uuids"], name="profiles_rulesexample_profiles", fastupdate=False)]

    def __str__(self) -> str:
        return f"example {self.pk} of run {self.run_id}"


class MegaProfile(models.Model):
    """A profile with so many identifiers or events that it is hardly one person; found anew each hour.

    Personal data: pseudonymous id — erasure deletes the row.
    """

    objects: "models.Manager[MegaProfile]"

    profile_id = models.BigIntegerField(primary_key=True)
    identifiers = models.PositiveIntegerField()
    events = models.PositiveBigIntegerField()
    found_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"mega-profile {self.profile_id}"


class IdentitySettings(models.Model):
    """The single row that names the version of the rules in force, and from what on a profile is a mega-profile.

    Personal data: none.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.IntegerField(default=1)
    mega_identifiers = models.PositiveIntegerField(default=100)
    mega_events = models.PositiveIntegerField(default=100_000)
    # Whether values that were shared before the limits were heeded have been looked for.
    sharing_counted = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="profiles_identitysettings_single")]

    def __str__(self) -> str:
        return f"identity settings version {self.version}"
