"""What is encrypted of people, and under which keys."""

from django.db import models


class SealedTrait(models.Model):
    """A trait whose values are stored encrypted from now on; `opened_at` is set while they are being opened again.

    Personal data: none.
    """

    name = models.CharField(max_length=255, primary_key=True)
    sealed_at = models.DateTimeField()
    sealed_by = models.TextField()
    opened_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class PersonKey(models.Model):
    """The key under which sealed values that came with an identifier are encrypted; `wrapped` is under a master key.

    A value belongs to the strongest identifier of its message, as the event does. So the keys of a person are those of
    the person's identifiers: a merge, an undo or a split moves no key, and erasing a person destroys exactly theirs.

    Personal data: none readable — erasure deletes the row, and with it all that was encrypted under it.
    """

    identifier_id = models.BigIntegerField(primary_key=True)
    wrapped = models.BinaryField()

    def __str__(self) -> str:
        return f"key of identifier {self.identifier_id}"
