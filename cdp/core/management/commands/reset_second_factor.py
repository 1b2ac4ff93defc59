"""`reset_second_factor`: for somebody who lost theirs, where no other administrator can help."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.models import User
from cdp.core.services.sign_in import remove_second_factors


class Command(BaseCommand):
    """Removes the second factors of a person and signs them out everywhere."""

    help = "Remove the second factors of somebody who lost them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("email")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Remove them, or say why not and end with 2."""
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            self.stderr.write("Nobody signs in with this e-mail.")
            sys.exit(2)
        removed = remove_second_factors(user_id=user.pk, actor="system", now=timezone.now())
        self.stderr.write(f"Removed {removed}. The person signs in by password alone until they set up new ones.")
