"""Hand the servers' addresses and the keys to Django, which reads nothing but environment variables."""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from cdp.embedded.keys import ensure_keys
from cdp.embedded.layout import data_dir as find_data_dir
from cdp.embedded.machine import Profile
from cdp.embedded.servers import ensure_servers

# These neither read nor write the stores; starting servers for them would only be slow.
_WITHOUT_SERVERS = frozenset(
    {"check", "collectstatic", "diffsettings", "findstatic", "help", "spectacular", "startapp", "version"}
)


def needs_servers(arguments: list[str]) -> bool:
    """Tell whether `manage.py` with these arguments (without its own name) uses the stores."""
    if not arguments or {"--help", "-h", "--version"} & set(arguments):
        return False
    return arguments[0] not in _WITHOUT_SERVERS or "--database" in arguments


def export_environment(
    *, env: MutableMapping[str, str] = os.environ, data_dir: Path | None = None, profile: Profile = "product"
) -> None:
    """Start the embedded servers if needed and put everything that `cdp.settings` reads into the environment.

    Parameters
    ----------
    env : mutable mapping
        Changed in place; what is set already stays.
    data_dir : Path, optional
        None means the one that ``env`` names.
    profile : {"product", "tests"}
        See `ensure_servers`.

    Raises
    ------
    EmbeddedError
        With a sentence that says what to do.
    """
    data_dir = data_dir or find_data_dir(env)
    env["CDP_DATA_DIR"] = str(data_dir)
    env.setdefault("CDP_ENV", "development")
    keys = ensure_keys(data_dir, env=env)
    env["CDP_SECRET_KEY"], env["CDP_SUPPRESSION_KEY"] = keys.secret_key, keys.suppression_key
    env["CDP_SIGNING_KEY"], env["CDP_MASTER_KEY"] = keys.signing_key, keys.master_key
    servers = ensure_servers(data_dir, env=env, profile=profile)
    env["CDP_DATABASE_URL"], env["CDP_BROKER_URL"] = servers.database_url, servers.broker_url


def keep_bytecode(folder: Path, *, env: MutableMapping[str, str] = os.environ) -> None:
    """Keep what Python compiles in a folder of ours where the environment forbids to keep it beside the source.

    Each of a dozen processes would compile all of it anew, which more than doubles the time that its start takes.
    """
    if env.pop("PYTHONDONTWRITEBYTECODE", "") or sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = env.setdefault("PYTHONPYCACHEPREFIX", str(folder))
