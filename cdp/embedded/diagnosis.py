"""From the last lines of a log to a sentence that says what to do."""

import re

_CAUSES = (
    (
        r"no space left on device|disk quota exceeded|could not write to file|could not extend file",
        "The disk is full: free space on the disk of the data directory, then run the command again.",
    ),
    (
        r"could not create any unix-domain sockets|could not bind unix address|address already in use",
        "Its socket is taken: another server uses the same directory below /tmp. Stop it, or choose another "
        "data directory by CDP_DATA_DIR.",
    ),
    (
        r"lock file .* already exists|pre-existing shared memory block",
        "A lock of an earlier server is in the way: see which process it names (`ps -p NUMBER`), stop that "
        "process, then run the command again.",
    ),
    (
        r"cannot allocate memory|out of memory|could not map anonymous shared|could not resize",
        "Too little memory is free: stop other programs, or lower shared_buffers in postgres/local.conf below "
        "the data directory.",
    ),
    (
        r"permission denied|not permitted",
        "A file cannot be reached: give the data directory to the user who runs this, or choose another one "
        "by CDP_DATA_DIR.",
    ),
    (
        r"invalid (primary )?checkpoint record|could not locate a valid checkpoint|invalid page in block",
        "The database files are damaged: restore the last backup into a new data directory (manage.py restore PATH).",
    ),
    (
        r"no usable system locale|glibc|symbol .* not found|cannot open shared object|version `",
        "The server's program does not fit this system: run a PostgreSQL and a Valkey of your own and set "
        "CDP_DATABASE_URL and CDP_BROKER_URL.",
    ),
)


def explain(lines: list[str]) -> str:
    """Say what the lines mean and what to do, with the lines themselves; an unknown cause only shows them."""
    text = "\n".join(lines)
    said = "".join(f"\n    {line}" for line in lines) or "\n    (it said nothing)"
    for pattern, sentence in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return f"{sentence}\n  Its last lines:{said}"
    return f"See docs/how-to/troubleshoot.md.\n  Its last lines:{said}"
