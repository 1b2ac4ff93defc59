"""`manage.py load_demo`, into a product in miniature."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from cdp.core.models import ApiKey
from ingestion.models import Source
from tests.ingestion.demo_server import MiniatureProduct, miniature_product
from tests.ingestion.test_demo_data import needs_data

pytestmark = pytest.mark.django_db


@pytest.fixture
def product(settings: Any, tmp_path: Path) -> Iterator[MiniatureProduct]:
    settings.CDP_DATA_DIR = tmp_path
    with miniature_product() as server:
        settings.CDP_BASE_URL = server.base_url
        yield server


def load_demo(**options: Any) -> str:
    out = StringIO()
    call_command("load_demo", stdout=out, **options)
    return out.getvalue()


@needs_data
def test_makes_three_sources_with_room_for_large_baskets(product: MiniatureProduct) -> None:
    load_demo(households=1)
    made = {source.key: (source.kind, source.max_event_bytes) for source in Source.objects.all()}
    assert made == {"store": ("server", 262_144), "web": ("browser", 32_768), "crm": ("server", 32_768)}


@needs_data
def test_leaves_no_key_that_works(product: MiniatureProduct) -> None:
    load_demo(households=1)
    assert [key.revoked_at is not None for key in ApiKey.objects.all()] == [True]


@needs_data
def test_loads_once(product: MiniatureProduct) -> None:
    assert "Demo loaded" in load_demo(households=1)
    sent = len(product.messages)
    assert "loaded already" in load_demo(households=1)
    assert len(product.messages) == sent
    load_demo(households=1, again=True)
    assert len(product.messages) == 2 * sent


@needs_data
def test_uses_the_sources_that_are_there(product: MiniatureProduct) -> None:
    call_command("create_source", "store", kind="server", write_key="my-own-key", stdout=StringIO())
    load_demo(households=1)
    assert "my-own-key" in {key for key, _, _ in product.batches}


@needs_data
def test_says_what_went_wrong_and_revokes_its_key(product: MiniatureProduct) -> None:
    product.stop_after = 0
    with pytest.raises(CommandError, match="No more, says the test"):
        load_demo(households=1)
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_refuses_a_senseless_number_of_households() -> None:
    with pytest.raises(CommandError, match="from 1 on"):
        load_demo(households=0)
