"""Every table says what it knows about people."""

import re

import pytest
from django.apps import apps
from django.db.models import Model

OURS = {"core", "profiles", "consent", "segments", "ingestion", "site"}
MODELS = [model for model in apps.get_models() if model._meta.app_label in OURS]
# None, or kinds, a dash and what erasure does with them, or the table that says so.
STATEMENT = re.compile(r"Personal data: (none( in this row)?|as for [A-Z]\w+|.+ — .+)\.$", re.DOTALL)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_docstring_ends_with_what_personal_data_it_holds(model: type[Model]):
    text = re.sub(r"\s+", " ", model.__doc__ or "").strip()
    assert STATEMENT.search(text), f"{model._meta.label}: end the docstring with 'Personal data: …'"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_has_no_order_of_its_own_and_a_name(model: type[Model]):
    assert not model._meta.ordering
    assert "__str__" in vars(model)
    assert "save" not in vars(model)
