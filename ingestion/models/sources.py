"""Where messages come from, and what is done to each before it counts."""

from django.db import models


class Source(models.Model):
    """Where messages come from. `write_key_sealed` is readable by the product; `write_key_digest` finds it.

    `owner`, `purpose` and `expected_every_minutes` are for the inventory; None expects nothing.

    Personal data: who looks after it, a member of staff — erasure of customers leaves it.
    """

    class Kind(models.TextChoices):
        SERVER = "server"
        BROWSER = "browser"
        MOBILE = "mobile"
        IMPORT = "import"

    class IpStorage(models.TextChoices):
        """How much of the sender's address is kept; of a server's messages, what the server itself sent."""

        NONE = "none"
        TRUNCATED = "truncated"
        FULL = "full"

    id = models.AutoField(primary_key=True)
    key = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    write_key_digest = models.BinaryField(unique=True)
    write_key_sealed = models.BinaryField()
    required_purpose = models.SlugField(max_length=64, blank=True)
    hold_days = models.PositiveSmallIntegerField(default=30)
    max_event_bytes = models.PositiveIntegerField(default=32 * 1024)
    ip_storage = models.CharField(max_length=10, choices=IpStorage.choices, default=IpStorage.TRUNCATED)
    enabled = models.BooleanField(default=True)
    owner = models.CharField(max_length=120, blank=True, default="", db_default="")
    purpose = models.CharField(max_length=300, blank=True, default="", db_default="")
    expected_every_minutes = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    # The versions in force (`TreatmentVersion`); 0 is none. Read with the row, so that messages cost no look-up.
    transformations_version = models.PositiveIntegerField(default=0, db_default=0)
    plan_version = models.PositiveIntegerField(default=0, db_default=0)
    cleaning_version = models.PositiveIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return self.name

    @property
    def is_public(self) -> bool:
        """Tell whether anyone can read the key (browser, mobile)."""
        return self.kind in {self.Kind.BROWSER, self.Kind.MOBILE}


class TreatmentKind(models.TextChoices):
    """What a source does to its messages, in this order."""

    TRANSFORMATIONS = "transformations"
    PLAN = "plan"
    CLEANING = "cleaning"


class TreatmentVersion(models.Model):
    """One version of a source's transformations, tracking plan or cleaning; never changed once it is saved.

    The source's row names the version in force. Going back to an older one makes a new version of the same content.

    Personal data: what people wrote into tests and tables of values — erasure replaces the person's identifiers.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="treatments")
    kind = models.CharField(max_length=16, choices=TreatmentKind.choices)
    version = models.PositiveIntegerField()
    definition = models.JSONField()
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    created_by = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "kind", "version"], name="ingestion_treatmentversion_once"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="ingestion_treatmentversion_number"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}"
