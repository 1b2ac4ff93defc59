"""Settings, by environment variables only (docs/reference/settings.md).

`manage.py` and the supervisor put the embedded servers' addresses and the keys into the environment before Django
starts; production sets them itself.
"""

from cdp.settings.apps import *
from cdp.settings.background import *
from cdp.settings.installation import *
from cdp.settings.rest import *
from cdp.settings.shell import *
from cdp.settings.signing_in import *
from cdp.settings.stores import *
from cdp.settings.transport import *
