"""Text is folded alike by Python and by SQL."""

import hashlib

import pytest
from django.db import connection

from segments.language.fold import FOLD_FROM, FOLD_TO, fold, normal
from segments.language.values import number_text, text_of


def test_the_table_is_the_one_that_installations_were_made_with() -> None:
    # A Python with a newer Unicode would fold characters that the SQL functions of older installations do not.
    assert len(FOLD_FROM) == len(FOLD_TO) == 1146
    assert (
        hashlib.sha256((FOLD_FROM + FOLD_TO).encode()).hexdigest()
        == "5ae7fd7f7817134ee42874c0bd698e0f8d59f06d726ce9111ca88a999d313d9f"
    )


@pytest.mark.django_db
def test_sql_folds_and_normalises_like_python() -> None:
    texts = [
        "Straße",
        "ÉCOLE",
        "e\u0301",
        "ΣΑΣ",
        "İ",
        "Ǆ",
        "K",
        "\u212a",
        "ДОМ",
        "ﬁ",
        "ẞ",
        "가",
        "\u1100\u1161",
        "a" * 50,
    ]
    texts += [FOLD_FROM[start : start + 50] for start in range(0, len(FOLD_FROM), 50)]
    with connection.cursor() as cursor:
        cursor.execute(
            "select array_agg(cdp_fold(t) order by n), array_agg(cdp_nfc(t) order by n)"
            " from unnest(%s::text[]) with ordinality u(t, n)",
            [texts],
        )
        folded, normalised = cursor.fetchone()
    assert folded == [fold(text) for text in texts]
    assert normalised == [normal(text) for text in texts]


@pytest.mark.django_db
@pytest.mark.parametrize("value", [0, -0.0, 1, 1.0, 1.5, 1e3, 1e21, 1e-7, 123456789012345678, True, "x"])
def test_sql_writes_values_as_text_like_python(value: object) -> None:
    import json

    with connection.cursor() as cursor:
        cursor.execute("select cdp_text(%s::jsonb)", [json.dumps(value)])
        assert cursor.fetchone()[0] == text_of(value)


def test_writes_numbers_in_their_shortest_plain_form() -> None:
    from decimal import Decimal

    assert [number_text(Decimal(text)) for text in ("1.50", "1E+3", "0.00", "-0", "100")] == [
        "1.5",
        "1000",
        "0",
        "0",
        "100",
    ]
