"""The tables of the kernel: people who sign in, API keys, audit trail, jobs and outbox."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models


class UserManager(BaseUserManager["User"]):
    """Finds and makes users by e-mail."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a user; without a password nobody can sign in as them yet."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find by e-mail, whatever its case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who works with the product.

    Personal data: e-mail and name of staff — removed by an administrator.
    """

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """Return the name, or the e-mail where none is known."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """Return what the page greets with."""
        return self.name or self.email


class ApiKey(models.Model):
    """A key of the REST API: only its SHA-256 is kept. `prefix` shows which key it is.

    After a rotation the text before it goes on working until `previous_until`. Empty `sources` and `addresses` mean no
    limit.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    name = models.SlugField(max_length=64, unique=True)
    prefix = models.CharField(max_length=16)
    digest = models.BinaryField(unique=True)
    previous_digest = models.BinaryField(unique=True, null=True, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    scopes = ArrayField(models.TextField())
    sources = ArrayField(models.TextField(), default=list, blank=True)
    addresses = ArrayField(models.TextField(), default=list, blank=True)
    created_at = models.DateTimeField()
    rotated_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class SecondFactorSecret(models.Model):
    """The secret of an authenticator app or of recovery codes; django-allauth's row names it by its id.

    Apart from that row, so that a change of the master key finds it as it finds everything sealed.

    Personal data: none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    sealed = models.BinaryField()

    def __str__(self) -> str:
        return str(self.pk)


class AuditEntry(models.Model):
    """One act, written in the transaction of the act itself; numbered and chained by the sealer within a second.

    `actor` is `user:ID`, `key:NAME` or `system`; `object` names what was acted on by public ids. `detail` holds no
    personal data beyond pseudonymous ids.

    Personal data: pseudonymous ids — kept as evidence.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor = models.TextField()
    action = models.TextField(db_index=True)
    object = models.TextField(db_index=True)
    detail = models.JSONField(default=dict)
    seq = models.BigIntegerField(null=True, unique=True)
    hash = models.BinaryField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], name="core_audit_unsealed", condition=models.Q(seq__isnull=True))]

    def __str__(self) -> str:
        return f"{self.action} {self.object}"


class AuditHead(models.Model):
    """A signed head of the chain, so that a cut-off tail is noticed.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    seq = models.BigIntegerField()
    hash = models.BinaryField()
    signature = models.BinaryField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"head {self.seq}"


class ScrubbedTable(models.Model):
    """A table or partition that an erasure touched (`touched_at`), and what was known when it was last rewritten.

    `changes` is how many rows had been changed and deleted in it by then, as PostgreSQL counts them.

    Personal data: none.
    """

    name = models.CharField(primary_key=True, max_length=63)
    touched_at = models.DateTimeField(null=True)
    changes = models.BigIntegerField(default=0)
    rewritten_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class Scrub(models.Model):
    """One run over the database's own files: what lay there of erasures before `started_at` is gone by `finished_at`.

    Personal data: none.
    """

    id = models.BigAutoField(primary_key=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, db_index=True)
    tables = models.IntegerField(default=0)
    left = models.JSONField(default=list)
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"scrub {self.pk}"


class Job(models.Model):
    """Work in bounded steps whose progress this row owns; the broker only wakes it up.

    `lease_until` and `fence` keep a worker that was believed dead from writing over its successor.

    Personal data: pseudonymous ids in `arguments` and `progress` — finished jobs are deleted after 30 days.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.BigAutoField(primary_key=True)
    kind = models.SlugField(max_length=64, db_index=True)
    arguments = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    progress = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    attempts = models.SmallIntegerField(default=0)
    run_at = models.DateTimeField(db_index=True)
    lease_until = models.DateTimeField(null=True)
    fence = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class OutboxMail(models.Model):
    """A mail written in the transaction that causes it and sent after its commit.

    Personal data: address and text for staff — deleted once sent.
    """

    id = models.BigAutoField(primary_key=True)
    to = models.EmailField()
    subject = models.TextField()
    body = models.TextField()
    created_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)
    retry_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"mail {self.pk}"


class Invitation(models.Model):
    """An invitation to join; only the token's digest is kept.

    Personal data: e-mail of staff — deleted on acceptance or expiry.
    """

    id = models.AutoField(primary_key=True)
    email = models.EmailField()
    role = models.SlugField(max_length=32)
    digest = models.BinaryField(unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"invitation {self.pk}"
