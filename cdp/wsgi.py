"""The WSGI entry: collection is answered before Django's request cycle, everything else by Django."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")

_django = get_wsgi_application()

from cdp.core.services.starting import check_start, refuse_unfinished_restore  # noqa: E402 - as below
from ingestion.collect import CollectionApplication  # noqa: E402 - models load after the setup above

# Fails closed: a process that cannot tell whether people who were erased are in the database answers nobody.
refuse_unfinished_restore()
check_start(act=False)

application = CollectionApplication(_django)
