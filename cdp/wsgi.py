"""The WSGI entry: collection is answered before Django's request cycle, everything else by Django."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")

_django = get_wsgi_application()

from ingestion.collect import CollectionApplication  # noqa: E402 - models load after the setup above

application = CollectionApplication(_django)
