"""One fault, some times, under load; and the account of it."""

import random
import shutil
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.accounting import Account, make_account, settle
from tests.faults.acts import PATIENT, Fault, heal
from tests.faults.disk import small_disk
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.journeys.calling import call, new_key, new_source
from tests.journeys.conftest import Product, start_product

PEOPLE = 200
# On a full disk pages of tables and of the log must run out before the test does.
PADDING = 6000


@contextmanager
def product_for(fault: Fault) -> Generator[Product, None, None]:
    """Run a product of its own; on a small disk, where the fault needs one."""
    if not fault.disk_megabytes:
        folder = Path(tempfile.mkdtemp(prefix="cdp-faults-")).resolve()
        try:
            with _running(start_product(folder)) as product:
                yield product
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with small_disk(fault.disk_megabytes) as disk:
        product = start_product(disk, output=disk.with_suffix(".txt"), CDP_FREE_DISK_MB=str(fault.free_megabytes))
        try:
            with _running(product):
                yield product
        finally:
            product.output_file.unlink(missing_ok=True)


@contextmanager
def _running(product: Product) -> Generator[Product, None, None]:
    try:
        yield product
    finally:
        product.stop()


def strike(fault: Fault, product: Product, *, times: int, seed: int = 0) -> tuple[Account, Ground]:
    """Let a fault happen some times while messages come in; return the account when nothing waits any more.

    Parameters
    ----------
    times : int
        How often. After every few times the pauses before new starts have become long: then everything is stopped
        and started, under load too.
    seed : int
        Of what is left to chance.
    """
    key = new_key(product)
    source, write_key = new_source(product)
    segment = f"seen-{uuid.uuid4().hex[:8]}"
    definition = {"version": 1, "timezone": "UTC", "match": {"type": "event", "name": "Seen", "where": {
        "property": "of", "op": "eq", "value": source}}}  # fmt: skip
    body = {"key": segment, "name": segment, "definition": definition, "status": "live"}
    call(product, "POST", "/api/v1/segments", body, key=key)
    padding = PADDING if fault.disk_megabytes else 0
    load = Load(product.base_url, write_key, tag=source, people=PEOPLE, padding=padding)
    ground = Ground(product, load, random.Random(seed))
    if fault.disk_megabytes:
        _keep_log_small(ground)
    try:
        with load:
            ground.wait(lambda: load.accepted_requests * load.items >= 3 * PEOPLE)
            for number in range(times):
                if fault.is_patient and number and number % PATIENT == 0:
                    ground.close()
                    assert product.stop() == 0, product.output
                    product.start()
                fault.strike(ground, number)
                ground.recover()
        account = make_account(ground, source=source, segment=segment, key=key, people=PEOPLE)
    finally:
        if fault.sets_aside:
            heal(ground)
    call(product, "PATCH", f"/api/v1/segments/{segment}", {"status": "archived"}, key=key)
    settle(ground, key)
    ground.close()
    return account, ground


def _keep_log_small(ground: Ground) -> None:
    """Let PostgreSQL's write-ahead log leave room on a small disk for what is written."""
    with (ground.product.data_dir / "postgres" / "local.conf").open("a") as file:
        file.write("max_wal_size = '96MB'\nmin_wal_size = '32MB'\nwal_recycle = 'off'\n")
    ground.ask("SELECT pg_reload_conf()")
