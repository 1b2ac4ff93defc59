"""Who answers for the data: named on receipts and records."""

from django.db import models


class Organisation(models.Model):
    """The controller of this installation; one row at most.

    `notice_url` is where people read the whole privacy notice, `authority` whom they can complain to.

    Personal data: none — contacts of the organisation itself.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    name = models.CharField(max_length=200, blank=True)
    address = models.TextField(blank=True)
    contact = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=50, blank=True)
    jurisdiction = models.CharField(max_length=100, blank=True)
    authority = models.CharField(max_length=200, blank=True)
    storage_locations = models.JSONField(default=list)
    notice_url = models.URLField(max_length=500, blank=True)
    changed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="consent_organisation_one")]

    def __str__(self) -> str:
        return self.name or "organisation"
