"""The cheap first look for a person's names leaves nothing out that the expressions find."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.traces.needles import make_needles

NAMES = ["Zoë.Quill@Example.org", "user-ÄÖ-7781", "+491701234567", "12345678", "\u017fpecial.K\u212a@example.org"]
UUID = "0f0e0d0c-1111-4222-8333-0123456789ab"
NEEDLES = make_needles(names=NAMES, uuids=[UUID])


def by_expressions(raw):
    return any(expression.search(raw) for expression in NEEDLES.bytes_expressions)


@given(
    form=st.sampled_from(NEEDLES.forms),
    case=st.sampled_from([str, str.upper, str.lower, str.swapcase, str.title]),
    before=st.sampled_from(["", " ", "x", "\\n", '"', "=", "é", "."]),
    after=st.sampled_from(["", " ", "x", '"', "7", "é"]),
)
def test_finds_what_the_expressions_find(form, case, before, after):
    raw = f"{before}{case(form)}{after}".encode()
    assert NEEDLES.found_in(raw) == by_expressions(raw)


@given(raw=st.binary(max_size=300))
def test_finds_nothing_in_noise_that_the_expressions_do_not(raw):
    assert NEEDLES.found_in(raw) == by_expressions(raw)


@pytest.mark.parametrize("form", NEEDLES.forms)
def test_finds_every_form(form):
    assert NEEDLES.found_in(f'{{"a": "{form}"}}'.encode())
