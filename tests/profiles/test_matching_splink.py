"""Splink over the tables of matching: what it says of pairs does not depend on how they are asked about."""

import csv
import json

import numpy as np
import pytest
from django.core.management import call_command

from profiles.matching import splink
from profiles.matching.fields import Field
from profiles.matching.model import Guard
from profiles.matching.splink import SplinkFailure, fitted_splink, rules_without_labels, run_splink
from profiles.matching.table import make_table
from tests.profiles.matching_world import FIELDS, people

NAMED = [Field(one["trait"], one["comparison"]) for one in FIELDS]


def table_of(rows, groups=None):
    columns = [[row[field.trait] for row in rows] for field in NAMED]
    return make_table(fields=NAMED, columns=columns, size=len(rows), groups=groups)


@pytest.fixture(scope="module")
def rows():
    return people(200)


@pytest.fixture(scope="module")
def fitted(rows):
    with fitted_splink(table_of(rows), across=False, seed=1) as made:
        yield made


def test_says_the_same_of_a_pair_however_it_is_asked(fitted, rows):
    left, right = np.triu_indices(60, 1)
    found = fitted.probabilities(left, right)
    assert ((found >= 0) & (found <= 1)).all()
    order = np.random.default_rng(3).permutation(len(left))
    assert fitted.probabilities(right[order], left[order]) == pytest.approx(found[order], abs=0)
    # Twice the same pair, and none at all.
    assert fitted.probabilities(left[[5, 5]], right[[5, 5]]) == pytest.approx(found[[5, 5]], abs=0)
    assert len(fitted.probabilities(left[:0], right[:0])) == 0
    assert fitted.contributions(left[:0], right[:0]) == []


def test_leads_from_the_prior_by_bits_to_the_probability(fitted, rows):
    left, right = np.triu_indices(40, 1)
    found = fitted.probabilities(left, right)
    for one, bits in zip(found, fitted.contributions(left, right), strict=True):
        odds = 2.0 ** sum(bits.values())
        assert odds / (1 + odds) == pytest.approx(one, abs=1e-6)


def test_keeps_no_value_of_anybody(fitted, rows):
    written = str(fitted.settings)
    assert not [
        value for row in rows for value in (row["last"], row["born"], row["email"]) if value and value in written
    ]


def test_fails_where_memory_is_at_its_end_and_writes_nothing(rows, monkeypatch, tmp_path):
    monkeypatch.setattr(splink, "MOST_MEMORY", "2MB")
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(SplinkFailure, match="more than 2MB of memory"),
        fitted_splink(table_of(rows), across=False, seed=1),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_links_across_groups_only(rows):
    # The second row of a person is in another source than the first.
    groups = np.array([int(row["last"].endswith("x")) for row in rows], np.int16)
    table = table_of(rows, groups)
    with fitted_splink(table, across=True, seed=1) as made:
        rules = rules_without_labels(made, table, across=True, seed=1)
        scored = run_splink(made, table, rules, across=True, forbidden=Guard(table, across=True))
    assert (groups[scored.candidates.left] != groups[scored.candidates.right]).all()
    for label in np.unique(scored.clusters):
        assert len(groups[scored.clusters == label]) == len(set(groups[scored.clusters == label].tolist()))
    real = [(a, a + 1) for a in range(len(rows) - 1) if rows[a]["person"] == rows[a + 1]["person"]]
    found = sum(scored.clusters[a] == scored.clusters[b] for a, b in real)
    assert found >= 0.9 * len(real)


def test_says_the_same_when_it_is_fitted_again(rows, fitted):
    left, right = np.triu_indices(60, 1)
    with fitted_splink(table_of(rows), across=False, seed=1) as again:
        assert again.probabilities(left, right) == pytest.approx(fitted.probabilities(left, right), abs=1e-9)


@pytest.mark.parametrize(
    "given",
    [
        [],
        [{"first": "", "last": "", "born": "", "email": ""}] * 5,
        [{"first": f"A{n}", "last": f"B{n}", "born": f"19{n}0-01-01", "email": f"c{n}@post.example"} for n in range(9)],
    ],
    ids=["no records", "nothing filled in", "nobody shares anything"],
)
def test_says_that_there_is_nothing_to_learn_from(given):
    with pytest.raises(SplinkFailure), fitted_splink(table_of(given), across=False, seed=1) as made:
        made.probabilities(np.array([0]), np.array([1]))


def test_matches_a_file_without_asking_for_its_truth(rows, tmp_path, capsys):
    file, model, out = tmp_path / "people.csv", tmp_path / "model.json", tmp_path / "clusters.csv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, ["id", "first", "last", "born", "email", "person"])
        writer.writeheader()
        writer.writerows({"id": f"r{number}", **row} for number, row in enumerate(rows))
    model.write_text(json.dumps({"key": "people", "fields": FIELDS}))
    given = [str(model), "--truth", str(file), "--truth-column", "person", "--engine", "splink", "--out", str(out)]
    call_command("match", *given)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["records"], figures["labels_used"]) == (len(rows), 0)
    assert figures["f1"] > 0.9
    assert figures["auto_link_probability"] is None
    clusters = {row["record_id"]: row["cluster_id"] for row in csv.DictReader(out.read_text().splitlines())}
    assert clusters.keys() == {f"r{number}" for number in range(len(rows))}
    assert len(set(clusters.values())) == figures["clusters"]
    with pytest.raises(SystemExit) as ended:
        call_command("match", *given, "--spark", "local[1]")
    assert ended.value.code == 2
    assert "--engine splink" in capsys.readouterr().err
