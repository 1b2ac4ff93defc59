"""`create_user`: makes somebody who can sign in."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from cdp.core.access import ROLE_SCOPES
from cdp.core.errors import CdpError
from cdp.core.models import User
from cdp.core.queries.accounts import roles_of
from cdp.core.services.accounts import WeakPassword, check_password, create_user, ensure_roles


class Command(BaseCommand):
    """Makes a user; repeated for the same person and role it changes nothing."""

    help = "Make somebody who can sign in."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("email")
        parser.add_argument("--role", required=True, help=", ".join(ROLE_SCOPES))
        parser.add_argument("--password", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the user, or say why not and end with 2."""
        email, role = options["email"].strip().lower(), options["role"]
        existing = User.objects.filter(email=email).first()
        if existing is not None and roles_of(user=existing) == [role]:
            self.stderr.write("This person can sign in with this role already; nothing was changed.")
            return
        try:
            check_password(options["password"])
        except WeakPassword as error:
            self.stderr.write(f"The password is weak: {error.message}")
        try:
            ensure_roles()
            create_user(email=email, role=role, password=options["password"], actor="system", now=timezone.now())
        except CdpError as error:
            self.stderr.write(error.message)
            sys.exit(2)
        self.stderr.write("Created.")
