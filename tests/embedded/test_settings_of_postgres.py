"""PostgreSQL's settings fit the machine and tell nothing."""

from pathlib import Path

import pytest

from cdp.embedded.machine import Machine, postgres_settings, read_machine


@pytest.mark.parametrize(
    ("memory_megabytes", "shared_buffers"),
    [
        (256, "128MB"),  # never less
        (8_192, "2048MB"),  # a quarter
        (24_576, "4096MB"),  # never more
    ],
)
def test_scales_the_buffers_with_the_memory(memory_megabytes: int, shared_buffers: str) -> None:
    machine = Machine(cores=2, memory_megabytes=memory_megabytes)
    settings = postgres_settings(machine=machine, profile="product", sockets=Path("/s"), lz4=False)
    assert settings["shared_buffers"] == shared_buffers


def test_gives_up_safety_in_tests_only() -> None:
    machine = Machine(cores=2, memory_megabytes=24_576)
    product = postgres_settings(machine=machine, profile="product", sockets=Path("/s"), lz4=True)
    tests = postgres_settings(machine=machine, profile="tests", sockets=Path("/s"), lz4=True)
    assert {"fsync", "synchronous_commit", "full_page_writes"} & set(product) == set()
    assert tests["fsync"] == "off"
    assert product["wal_compression"] == "lz4"


def test_reads_a_plausible_machine() -> None:
    machine = read_machine()
    assert machine.cores >= 1
    assert machine.memory_megabytes > 100
