"""A process of the installation that changes rights on demand: `python -m tests.benchmarks.acting`.

It reads one line of JSON after the other from its input, does what it says, and answers when that was committed, on the
clock that all processes of the machine share.
"""

import json
import os
import sys
import time
from typing import Any

from cdp.embedded import export_environment


def main() -> None:
    """Act until the input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    export_environment()
    import django

    django.setup()
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.utils import timezone
    from guardian.shortcuts import assign_perm, remove_perm

    from cdp.core.models import User
    from cdp.core.reauthentication import RECORDS
    from cdp.core.services.accounts import change_user, create_user
    from cdp.core.services.api_keys import create_api_key, revoke_api_key
    from cdp.core.sign_in.sessions import SEEN
    from segments.models import Segment

    def make_key(name: str) -> str:
        return create_api_key(name=name, scopes=["sources:read"], actor="system", now=timezone.now())

    def revoke(name: str) -> None:
        revoke_api_key(name=name, actor="system", now=timezone.now())

    def make_person(email: str, role: str, password: str) -> str:
        user = create_user(email=email, role=role, password=password, actor="system", now=timezone.now())
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session[RECORDS] = [{"method": "password", "at": time.time()}]
        session[SEEN] = time.time()
        session.save()
        return str(session.session_key)

    def give_role(email: str, role: str | None) -> None:
        user = User.objects.get(email=email)
        change_user(user_id=user.pk, name="", role=role, is_active=True, actor="system", now=timezone.now())

    def share(email: str, key: str, given: bool) -> None:
        change = assign_perm if given else remove_perm
        change("view_segment", User.objects.get(email=email), Segment.objects.get(key=key))

    acts: dict[str, Any] = {
        "make_key": make_key,
        "revoke": revoke,
        "make_person": make_person,
        "give_role": give_role,
        "share": share,
    }
    for line in sys.stdin:
        asked = json.loads(line)
        result = acts[asked.pop("act")](**asked)
        print(json.dumps({"at": time.monotonic(), "result": result}), flush=True)


if __name__ == "__main__":
    main()
