"""Who answers for the data."""

from consent.organisation_models import Organisation


def read_organisation() -> Organisation:
    """Return the organisation; an empty one where nothing was said yet."""
    return Organisation.objects.filter(pk=1).first() or Organisation(pk=1)
