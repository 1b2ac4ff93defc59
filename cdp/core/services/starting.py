"""Before web and workers are let at the database: what must be so, and what must be done first.

Run by `manage.py check_start` (which `make up` and the container of the migrations run), and, without doing anything,
by each web process and worker as it starts.
"""

from pathlib import Path

from django.conf import settings

from cdp.core import registries
from cdp.core.errors import Conflict

MARK = "restoring"


class RestoreUnfinished(Conflict):
    """A restore was interrupted; the database may hold people who were erased."""

    code = "start.restore_unfinished"

    def __init__(self) -> None:
        super().__init__(
            "A restore began and did not end, so that people who were erased may be in the database. Run "
            "`manage.py restore PATH` again."
        )


def _mark() -> Path:
    # Beside the ledger, which all processes of the installation share; also where they run in containers.
    folder: Path = settings.CDP_LEDGER_DIR
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / MARK


def begin_restore() -> None:
    """Keep everybody out from now on, also after a crash."""
    _mark().touch(mode=0o600)


def end_restore() -> None:
    """Let everybody in again."""
    _mark().unlink(missing_ok=True)


def refuse_unfinished_restore() -> None:
    """Raise while a restore has not ended.

    Raises
    ------
    RestoreUnfinished
        Naming the command that ends it.
    """
    if _mark().exists():
        raise RestoreUnfinished


def check_start(*, act: bool) -> list[str]:
    """Run everything in `registries.start_checks`; return what was done.

    Parameters
    ----------
    act : bool
        Whether to do what is missing; without it, that is an error, too.

    Raises
    ------
    CdpError
        With what keeps the product from starting.
    """
    return [said for check in registries.start_checks if (said := check(act))]
