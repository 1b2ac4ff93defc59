"""The embedded PostgreSQL and Valkey, the installation's keys, and the supervisor that `make up` runs.

Owns the server processes of one data directory and everything in it that is not the database's: keys, locks,
logs. Never imports Django, knows no customer and reads no table. `manage.py`, the supervisor and the test run
call it before Django starts and hand its answers on as environment variables, which is all that
`cdp.settings` reads.

Words: the *data directory* holds one installation; its *guard* is the small process that keeps both servers
running while somebody *uses* them (holds the shared lock `run/users.lock`) and stops them when nobody does;
the *account* is the system user that the servers run as when the caller is root.
Layer below: `cdp.core.errors` only (docs/decisions/0001-embedded-servers.md).
"""

from cdp.embedded.environment import export_environment
from cdp.embedded.errors import EmbeddedError
from cdp.embedded.keys import Keys, ensure_keys
from cdp.embedded.layout import data_dir
from cdp.embedded.servers import Servers, ensure_servers, release_servers, servers_running, stop_servers

__all__ = [
    "EmbeddedError",
    "Keys",
    "Servers",
    "data_dir",
    "ensure_keys",
    "ensure_servers",
    "export_environment",
    "release_servers",
    "servers_running",
    "stop_servers",
]
