"""What the machine offers, and the PostgreSQL settings that fit it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Profile = Literal["product", "tests"]

MEGABYTE = 1024**2


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores and memory that this process may use."""

    cores: int
    memory_megabytes: int


def read_machine() -> Machine:
    """Ask the system; a memory limit of the container counts."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        limit = "max"
    if limit.isdigit():
        memory = min(memory, int(limit))
    return Machine(cores=os.cpu_count() or 1, memory_megabytes=memory // MEGABYTE)


def postgres_settings(*, machine: Machine, profile: Profile, sockets: Path, lz4: bool) -> dict[str, str]:
    """Choose PostgreSQL's settings.

    Parameters
    ----------
    machine : Machine
        What the sizes are scaled to; the caps are those of 2 cores and 24 GB.
    profile : {"product", "tests"}
        ``tests`` gives up safety against power failure: only for data that is thrown away.
    sockets : Path
        Directory of the Unix socket; there is no other way in.
    lz4 : bool
        Whether this build of PostgreSQL has LZ4.

    Returns
    -------
    dict
        Setting to value as postgresql.conf writes it, unquoted.
    """
    memory = machine.memory_megabytes
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "shared_preload_libraries": "pg_stat_statements",
        # Utility statements are kept with their literals, and literals can be personal data.
        "pg_stat_statements.track_utility": "off",
        "jit": "off",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "shared_buffers": f"{_clamp(memory // 4, 128, 4096)}MB",
        "effective_cache_size": f"{max(memory // 2, 256)}MB",
        "work_mem": f"{_clamp(memory // 512, 4, 64)}MB",
        "maintenance_work_mem": f"{_clamp(memory // 32, 64, 1024)}MB",
        "max_worker_processes": str(max(8, machine.cores)),
        "max_parallel_workers": str(machine.cores),
        "max_parallel_workers_per_gather": str(_clamp(machine.cores, 1, 4)),
        "max_wal_size": "4GB",
        "min_wal_size": "512MB",
        "wal_compression": "lz4" if lz4 else "off",
        "default_toast_compression": "lz4" if lz4 else "pglz",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "autovacuum_naptime": "15s",
        "autovacuum_max_workers": "3",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_vacuum_insert_scale_factor": "0.1",
        "autovacuum_analyze_scale_factor": "0.05",
        "autovacuum_vacuum_cost_limit": "1000",
        # The log never holds personal data: no statement, no parameter, no DETAIL line, and no client's error
        # at all ("log" ranks above "error"), because an error's text can quote the value that caused it. The
        # client has it.
        "log_min_messages": "log",
        # The last statement of a connection could show literals to whoever may read pg_stat_activity.
        "track_activities": "off",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_checkpoints": "off",
        "log_startup_progress_interval": "5s",
        "log_line_prefix": "%m ",
    }
    if profile == "tests":
        settings |= {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": f"{_clamp(memory // 32, 64, 256)}MB",
            "max_wal_size": "1GB",
            "min_wal_size": "128MB",
        }
    return settings


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
