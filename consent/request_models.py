"""The tables around privacy requests: what was asked, the answers, packages of data, and callers by OpenDSR."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

REQUEST = "consent.PrivacyRequest"


class RequestDetails(models.Model):
    """What a request says beyond its kind, sealed: corrections, purposes, the person's own words, where to write to.

    Written by `consent.services.details`. It goes when the person was told of the end of an erasure.

    Personal data: words and address of the person, sealed — erasure deletes the row.
    """

    request = models.OneToOneField(REQUEST, on_delete=models.CASCADE, primary_key=True, related_name="details")
    sealed = models.BinaryField()

    def __str__(self) -> str:
        return f"details of {self.pk}"


class IdentityCheck(models.Model):
    """A question for proof of identity that was sent to a person: a link, a code of six digits, or both.

    Digests only. `failures` counts wrong codes; at the limit the check is locked and a new one is needed.

    Personal data: none — it names the request only.
    """

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(REQUEST, on_delete=models.CASCADE, related_name="checks")
    token_digest = models.BinaryField(unique=True)
    code_digest = models.BinaryField()
    failures = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"identity check {self.pk}"


class RequestNote(models.Model):
    """What an officer wrote down about a request, sealed.

    Personal data: text of an officer, sealed — erasure deletes the row.
    """

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(REQUEST, on_delete=models.CASCADE, related_name="notes")
    sealed = models.BinaryField()
    author = models.TextField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"note {self.pk}"


class Letter(models.Model):
    """A letter to the person: drafted, sent by mail, or noted as sent otherwise. Subject, text and address are sealed.

    `sha256` is that of the text, so that a letter that somebody shows can be recognised after an erasure.

    Personal data: text and address of the person, sealed — erasure empties them, the fact that it was sent stays.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        SENT = "sent"

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(REQUEST, on_delete=models.CASCADE, related_name="letters")
    kind = models.CharField(max_length=16)
    language = models.CharField(max_length=8)
    sealed = models.BinaryField(null=True)
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.DRAFT)
    by_mail = models.BooleanField(default=False)
    author = models.TextField()
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"letter {self.pk}"


class Package(models.Model):
    """A copy of a person's data in one sealed file, which is handed out once and then gone.

    `token_digest` finds it for the person's own link. `manifest` counts and hashes what is inside.

    Personal data: none in this row — the sealed file goes once it was handed out, when its time is up, or by erasure.
    """

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(REQUEST, on_delete=models.CASCADE, related_name="packages")
    stored = models.TextField()
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    manifest = models.JSONField(default=dict)
    token_digest = models.BinaryField(null=True, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    taken_at = models.DateTimeField(null=True)
    taken_by = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"package {self.pk}"


class ControllerRequest(models.Model):
    """A request that came in by OpenDSR: the controller's own number and the addresses it wants to be told at.

    `told_status` is the state last handed to the callbacks. Rows of the rehearsal (`stub`) have no privacy request.

    Personal data: none — the identities are in the privacy request.
    """

    subject_request_id = models.UUIDField(primary_key=True)
    request = models.OneToOneField(REQUEST, on_delete=models.CASCADE, null=True, related_name="controller_request")
    stub = models.BooleanField(default=False)
    controller_id = models.TextField()
    api_version = models.CharField(max_length=8)
    regulation = models.CharField(max_length=8)
    type = models.CharField(max_length=16)
    group_id = models.TextField(blank=True, db_index=True)
    callbacks = ArrayField(models.TextField(), default=list)
    digest = models.BinaryField()
    told_status = models.CharField(max_length=16, blank=True)
    received_at = models.DateTimeField()
    due_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"controller request {self.pk}"


class Callback(models.Model):
    """A change of state that a controller is told at one address; sent until it is taken or given up.

    Personal data: none — it names requests only.
    """

    id = models.BigAutoField(primary_key=True)
    controller_request = models.ForeignKey(ControllerRequest, on_delete=models.CASCADE, related_name="sent_callbacks")
    url = models.TextField()
    state = models.CharField(max_length=16)
    attempts = models.PositiveSmallIntegerField(default=0)
    answer = models.TextField(blank=True)
    created_at = models.DateTimeField()
    retry_at = models.DateTimeField(null=True, db_index=True)
    delivered_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"callback {self.pk}"


class RequestAlarm(models.Model):
    """That somebody was warned about a request: once per reason.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(REQUEST, on_delete=models.CASCADE, related_name="alarms")
    reason = models.CharField(max_length=16)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "reason"], name="consent_requestalarm_once")]

    def __str__(self) -> str:
        return f"alarm {self.reason}"


class Regulation(models.Model):
    """A job of the addresses that speak Segment's or RudderStack's shape; its privacy requests do the work.

    `digests` are those of what it suppressed, so that cancelling lets in whom no other regulation keeps out.

    Personal data: keyed digests only, as of suppressions — the identities are in the privacy requests.
    """

    id = models.UUIDField(primary_key=True)
    dialect = models.CharField(max_length=8)
    type = models.CharField(max_length=40)
    asked_as = models.CharField(max_length=40)
    request_ids = ArrayField(models.UUIDField(), default=list)
    invalid = models.IntegerField(default=0)
    suppressed = models.IntegerField(default=0)
    digests = ArrayField(models.BinaryField(), default=list)
    cancelled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_index=True)
    created_by = models.TextField()

    def __str__(self) -> str:
        return f"regulation {self.pk}"
