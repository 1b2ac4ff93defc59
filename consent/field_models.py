"""What traits and types of events may be used for."""

from django.db import models

from consent.models import Purpose


class FieldTag(models.Model):
    """The purposes that a trait or a type of event may serve, and how sensitive it is.

    `purposes` None: any purpose. What has no tag serves any purpose and counts as personal.

    Personal data: none.
    """

    class Kind(models.TextChoices):
        TRAIT = "trait"
        EVENT = "event"

    class Sensitivity(models.TextChoices):
        PUBLIC = "public"
        PERSONAL = "personal"
        SENSITIVE = "sensitive"
        SPECIAL_CATEGORY = "special_category"

    id = models.AutoField(primary_key=True)
    kind = models.CharField(max_length=5, choices=Kind.choices)
    name = models.CharField(max_length=255)
    purposes = models.JSONField(null=True)
    sensitivity = models.CharField(max_length=16, choices=Sensitivity.choices, default=Sensitivity.PERSONAL)
    changed_at = models.DateTimeField()
    changed_by = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="consent_fieldtag_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class FieldOverride(models.Model):
    """The officer's leave for one user of fields (``segment:KEY``) to use one for a purpose against its tag.

    Personal data: none.
    """

    id = models.AutoField(primary_key=True)
    used_by = models.CharField(max_length=80)
    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=5, choices=FieldTag.Kind.choices)
    name = models.CharField(max_length=255)
    reason = models.TextField()
    created_at = models.DateTimeField()
    created_by = models.TextField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["used_by", "purpose", "kind", "name"],
                name="consent_fieldoverride_once",
                condition=models.Q(lifted_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.used_by} may use {self.kind} {self.name}"
