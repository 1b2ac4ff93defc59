"""Splink: a model that is fitted without labels, over the same records, candidates and guards as dedupe's.

It needs the packages of requirements/splink.in. Everything lies in a database in memory (DuckDB), which ends with the
fitted model; nothing is written to a disk.
"""

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import splink.comparison_library as compare_by
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.internals.exceptions import EMTrainingException, SplinkException

from profiles.matching.blocking import Rule, find_candidates
from profiles.matching.clustering import Forbidden
from profiles.matching.model import Scored, match_table
from profiles.matching.pool import make_pool
from profiles.matching.table import JOINTS, MISSING, Array, Table
from profiles.matching.training import choose_rules_for, pair_budget

LIBRARIES = ("splink", "duckdb", "sqlglot")
THRESHOLD = 0.5
AT_ONCE = 500_000
# Chance agreement is estimated from so many pairs; a session of expectation maximisation takes no more than so many,
# and the first one is of pairs that agree in a column where so many do.
SAMPLED_PAIRS, MOST_PAIRS, LEAST_PAIRS = 2e6, 2_000_000, 100
SESSIONS = 2
MOST_MEMORY = "3GB"
NO_EXTENSIONS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
# Who agrees in three of the four most telling columns is surely one; so many of all who are one do.
TELLING_COLUMNS, CERTAIN_RECALL = 4, 0.7
# How many matches a record has on average, at least and at most.
MATCHES_EACH = 0.02, 4.0
PRIOR = "probability_two_random_records_match"
SUREST = 50.0  # bits, of one column
LIKE, ALIKE = 0.8, 0.92
EDITED = ("date", "number", "phone", "postcode", "exact")


class SplinkFailure(Exception):
    """Splink could not be fitted, or memory is at its end; the text quotes no data."""


def library_versions() -> dict[str, str]:
    """Return the versions of what fits and scores."""
    return {name: version(name) for name in LIBRARIES}


@contextmanager
def fitted_splink(table: Table, *, across: bool, seed: int) -> Iterator["Splink"]:
    """Give a Splink that is fitted to the records of a table.

    Parameters
    ----------
    across : bool
        Whether pairs are of two groups of the table.

    Raises
    ------
    SplinkFailure
        If there is too little to learn from, or memory is at its end.
    """
    database = duckdb.connect(":memory:", config={"memory_limit": MOST_MEMORY, "temp_directory": "", **NO_EXTENSIONS})
    try:
        # From here on no file is read or written: what a spill left behind would be personal data that nobody erases.
        database.execute("SET enable_external_access = false")
        made = Splink(table, database, across=across)
        made.fit(seed)
        yield made
    except (SplinkException, duckdb.Error) as error:
        raise SplinkFailure(_why(error)) from error
    finally:
        database.close()


def _why(error: BaseException) -> str:
    # Splink wraps what the database says.
    if isinstance(error, duckdb.OutOfMemoryException) or isinstance(error.__cause__, duckdb.OutOfMemoryException):
        return f"Splink needs more than {MOST_MEMORY} of memory for these records."
    return f"Splink could not be fitted to these records ({type(error).__name__})."


class Splink:
    """A model after Fellegi and Sunter of the columns of a table.

    References
    ----------
    Fellegi and Sunter, "A Theory for Record Linkage", 1969.
    Splink, https://moj-analytical-services.github.io/splink.
    """

    def __init__(self, table: Table, database: duckdb.DuckDBPyConnection, *, across: bool) -> None:
        self._table, self._database, self._across = table, database, across
        # Traits have any names, so columns are numbered; how often each of their values occurs is known.
        columns = [one for one in table.columns.values() if one.name not in JOINTS and len(one.values)]
        if not columns:
            message = "None of the model's traits has a value."
            raise SplinkFailure(message)
        self._columns = {f"c{number}": one for number, one in enumerate(columns)}
        self._agreeing = {name: _pairs_of(one.counts) for name, one in self._columns.items()}
        database.register("given", self._as_arrow())
        database.execute("CREATE TABLE records AS SELECT * FROM given")
        database.unregister("given")
        self._api = DuckDBAPI(database)
        self._linker = self._make_linker(
            SettingsCreator(
                link_type="link_only" if across else "dedupe_only",
                comparisons=[_comparison(name, one.comparison) for name, one in self._columns.items()],
                blocking_rules_to_generate_predictions=[block_on(name) for name in self._columns],
                retain_intermediate_calculation_columns=True,
                retain_matching_columns=False,
            )
        )

    def _as_arrow(self) -> pa.Table:
        found: dict[str, Any] = {
            "unique_id": pa.array(np.arange(self._table.size)),
            "source_dataset": pa.array(self._table.groups.astype(str)),
        }
        for name, column in self._columns.items():
            codes = pa.array(column.codes, mask=column.codes == MISSING)
            found[name] = pa.DictionaryArray.from_arrays(codes, pa.array(column.values.tolist(), pa.string()))
        return pa.table(found)

    def _make_linker(self, settings: SettingsCreator | dict[str, Any]) -> Linker:
        return Linker(self._api.register("records"), settings, log_level=logging.ERROR)

    @property
    def settings(self) -> dict[str, Any]:
        """Return the model as Splink writes it: shares of agreement, no value of anybody."""
        found: dict[str, Any] = self._linker.misc.save_model_to_json()
        return found

    def fit(self, seed: int) -> None:
        """Estimate how often each column agrees among matches and among others.

        Raises
        ------
        SplinkFailure
            If too few records share a value.
        """
        cheap = sorted(self._columns, key=self._agreeing.__getitem__)
        self._linker = self._make_linker({**self.settings, PRIOR: self._prior(cheap)})
        self._linker.training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=seed)
        enough = [name for name in cheap if self._agreeing[name] >= LEAST_PAIRS]
        sessions = 0
        for name in dict.fromkeys([*enough[:1], *cheap]):
            if sessions < SESSIONS:
                sessions += self._learn_from_agreement(name)
        if not sessions:
            message = "Too few records share a value: there is nothing that Splink could learn from."
            raise SplinkFailure(message)
        # Which pairs are scored is decided elsewhere, so records need no source any more.
        self._linker = self._make_linker({**self.settings, "link_type": "dedupe_only"})

    def _prior(self, cheap: Sequence[str]) -> float:
        """Return how likely any two records are one before anything is compared."""
        least, most = (matches / max(self._table.size, 2) for matches in MATCHES_EACH)
        certain = self._certain(cheap[:TELLING_COLUMNS])
        if not certain:
            return least
        rules: list[str | Any] = [block_on(*one) for one in certain]
        self._linker.training.estimate_probability_two_random_records_match(rules, recall=CERTAIN_RECALL)
        return float(np.clip(self.settings[PRIOR], least, most))

    def _certain(self, telling: Sequence[str]) -> list[tuple[str, ...]]:
        """Return columns three at a time; where too few pairs agree in those, two at a time."""
        for number in (3, 2):
            found = list(itertools.combinations(telling, number))
            agreeing = sum(self._agreeing_in(one) for one in found)
            if agreeing >= LEAST_PAIRS or (agreeing and number == 2):
                return found
        return []

    def _agreeing_in(self, names: Sequence[str]) -> int:
        """Return how many pairs of records agree in several columns."""
        together = np.zeros(self._table.size, np.int64)
        for name in names:
            codes = self._columns[name].codes
            there = (together != MISSING) & (codes != MISSING)
            # One number for each combination so far; who lacks one of the values agrees with nobody.
            numbers = np.unique(together[there] * (int(codes.max()) + 1) + codes[there], return_inverse=True)[1]
            together = np.full(self._table.size, MISSING, np.int64)
            together[there] = numbers
        return _pairs_of(np.unique(together[together != MISSING], return_counts=True)[1])

    def _learn_from_agreement(self, name: str) -> bool:
        """Run a session over the pairs that agree in a column; tell whether there were any."""
        try:
            self._linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(name), max_pairs=MOST_PAIRS
            )
        except EMTrainingException:
            return False
        return True

    def probabilities(self, left: Array, right: Array) -> Array:
        """Return the probability of each pair of rows."""
        found = np.empty(len(left), np.float64)
        for start in range(0, len(left), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            # What was never seen in a session has weights without bounds, which may meet.
            found[part] = np.nan_to_num(self._score(left[part], right[part])["match_probability"], nan=0.0)
        return found

    def contributions(self, left: Array, right: Array) -> list[dict[str, float]]:
        """Return what each column adds to the weight of each pair, and where it begins (`bias`), in bits."""
        if not len(left):
            return []
        found = self._score(left, right)
        bits = {
            column.name: np.clip(
                np.nan_to_num(found[f"mw_{name}"] + found.get(f"mw_tf_adj_{name}", 0.0)), -SUREST, SUREST
            )
            for name, column in self._columns.items()
        }
        prior = float(self.settings[PRIOR])
        bias = float(np.log2(prior / (1 - prior)))
        return [
            {"bias": bias, **{name: float(values[place]) for name, values in bits.items()}}
            for place in range(len(left))
        ]

    def _score(self, left: Array, right: Array) -> Mapping[str, Array]:
        """Have Splink score pairs; return the columns of its answer in the order of the pairs."""
        size = self._table.size
        numbers = np.minimum(left, right).astype(np.int64) * size + np.maximum(left, right)
        distinct, places = np.unique(numbers, return_inverse=True)
        asked = pa.table(
            {
                "match_key": pa.array(["0"]).take(pa.array(np.zeros(len(distinct), np.int8))),
                "join_key_l": distinct // size,
                "join_key_r": distinct % size,
            }
        )
        pairs = self._api.register(asked)
        self._linker.table_management.register_blocked_pairs_for_predict(pairs)
        answer = self._linker.inference.predict(warning_mode="never")
        found = answer.as_duckdbpyrelation().order("unique_id_l, unique_id_r").fetchnumpy()
        answer.drop_table_from_database_and_remove_from_cache()
        self._api.delete_table_from_database(pairs.physical_name)
        return {
            name: np.asarray(values)[places] for name, values in found.items() if name.startswith(("match_p", "mw_"))
        }


def _comparison(name: str, kind: str) -> Any:
    if kind in EDITED:
        return compare_by.DamerauLevenshteinAtThresholds(name, [1, 2])
    return compare_by.JaroWinklerAtThresholds(name, [ALIKE, LIKE]).configure(term_frequency_adjustments=True)


def _pairs_of(counts: Array) -> int:
    """Return how many pairs of records have the same value, from how many have each one."""
    return int((counts * (counts - 1) // 2).sum())


def rules_without_labels(made: Splink, table: Table, *, across: bool, seed: int) -> list[Rule]:
    """Return the blocking rules that cover what Splink holds likely, as training does with what it learned."""
    pool = make_pool(table, across=across, rng=np.random.default_rng(seed))
    likely = made.probabilities(pool.left, pool.right)
    return choose_rules_for(pool, likely, budget=pair_budget(table.size))


def run_splink(
    made: Splink,
    table: Table,
    rules: Sequence[Rule],
    *,
    across: bool,
    forbidden: Forbidden,
    must: Sequence[tuple[int, int]] = (),
) -> Scored:
    """Match all records of a table by what Splink says of pairs."""

    def find() -> tuple[Any, Array]:
        candidates = find_candidates(table, rules, across=across)
        return candidates, made.probabilities(candidates.left, candidates.right)

    return match_table(
        table.size, find=find, score=made.probabilities, forbidden=forbidden, must=must, threshold=THRESHOLD
    )
