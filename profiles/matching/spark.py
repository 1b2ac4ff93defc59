"""The same model on Apache Spark: block keys, candidates and scores are computed by a cluster, clusters here.

Nothing of it is another model: workers call `Keys`, `compare` and the weights of this package on parts of the records,
and Spark does what one machine does by sorting: counting values, finding who shares a key, taking each pair once. So
pairs and scores are those of `model.run_model`. It needs the package pyspark (requirements/spark.in) and Java.
"""

import logging
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from profiles.matching.blocking import MOST_IN_BLOCK, Candidates, Keys, Rule, RuleReport, hash_values
from profiles.matching.features import BY_WORDS, compare
from profiles.matching.fields import Field
from profiles.matching.model import TrainedModel
from profiles.matching.table import (
    MISSING,
    MOST_SHARED,
    NAMES,
    Array,
    Column,
    Table,
    columns_of,
    rarity_of,
    split_words,
)
from profiles.matching.weights import Weights

# It tells of every connection that it closes.
logging.getLogger("py4j").setLevel(logging.WARNING)

AT_ONCE = 50_000
KEYS_IN_PART = 500_000
KEPT = StorageLevel.MEMORY_AND_DISK
# What a cluster is not told otherwise (spark-defaults.conf): what spills to disk is encrypted, no page shows data.
DEFAULTS = {
    "spark.io.encryption.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(AT_ONCE),
    "spark.sql.session.timeZone": "UTC",
}
Batches = Iterator[pa.RecordBatch]


class ClusterFailure(RuntimeError):
    """The cluster is not there, or failed."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker must know of the model and of all records.

    Attributes
    ----------
    columns : tuple of (str, str)
        Each with its comparison.
    size : int
        How many records there are.
    filled : tuple of int
        Per column, how many records have a value.
    """

    columns: tuple[tuple[str, str], ...]
    size: int
    filled: tuple[int, ...]


class KeysOfPart(Keys):
    """Block keys of some of the records: which of their words are rare is known from all of them."""

    def __init__(self, table: Table, words: Mapping[str, Sequence[Sequence[str] | None]]) -> None:
        super().__init__(table)
        self._known = words

    def atom(self, column: str, name: str) -> Array:
        """Return per record the hash of a part of its value, or of one of its rarest words."""
        if not name.startswith("word:"):
            return super().atom(column, name)
        known, number = self._known[column], int(name[5:])
        return hash_values([words[number] if words and len(words) > number else "" for words in known])


@contextmanager
def spark_session(url: str) -> Iterator[SparkSession]:
    """Connect to a cluster, and send it this package.

    Parameters
    ----------
    url : str
        ``spark://HOST:PORT``, ``yarn``, ``k8s://…``, or ``local[N]`` for N threads of this machine.
    """
    builder = SparkSession.Builder().master(url).appName("cdp-matching")
    for name, value in DEFAULTS.items():
        builder = builder.config(name, value)
    with tempfile.TemporaryDirectory(prefix="cdp-spark-") as folder:
        session = None
        try:
            session = builder.getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            session.sparkContext.addPyFile(_pack(Path(folder) / "matching.zip"))
            yield session
        except (PySparkException, Py4JError) as error:
            raise ClusterFailure(type(error).__name__) from error
        finally:
            if session is not None:
                session.stop()


def _pack(archive: Path) -> str:
    """Write this package into an archive, for workers that have nothing of the product."""
    here = Path(__file__).parent
    with zipfile.ZipFile(archive, "w") as made:
        made.write(here.parent / "__init__.py", "profiles/__init__.py")
        for path in sorted(here.glob("*.py")):
            made.write(path, f"profiles/matching/{path.name}")
    return str(archive)


def find_on_spark(session: SparkSession, model: TrainedModel, table: Table) -> tuple[Candidates, Array]:
    """Return the candidates of a table and their probabilities, as `model.find_and_score` does."""
    pairs, reports = find_pairs(session, model, _send(session, table))
    found = pairs.toArrow()
    left, right = found["left"].to_numpy(), found["right"].to_numpy()
    order = np.lexsort((right, left))
    return Candidates(left[order], right[order], reports), found["probability"].to_numpy()[order]


def _send(session: SparkSession, table: Table) -> DataFrame:
    """Return the normal forms of a table's fields as a frame of the cluster."""
    columns: dict[str, Any] = {
        "row": pa.array(np.arange(table.size, dtype=np.int64)),
        "origin": pa.array(np.asarray(table.groups, np.int32)),
    }
    for number, field in enumerate(table.fields):
        column = table.columns[field.trait]
        codes = pa.array(column.codes, mask=column.codes == MISSING)
        columns[f"c{number}"] = pa.array(column.values.tolist(), pa.string()).take(codes)
    return session.createDataFrame(pa.table(columns))


def find_pairs(session: SparkSession, model: TrainedModel, records: DataFrame) -> tuple[DataFrame, list[RuleReport]]:
    """Find and score the candidates of records that lie on the cluster.

    Parameters
    ----------
    records : DataFrame
        ``row`` (bigint, each once), ``origin`` (int: the source), and for each field of the model ``c0``, ``c1``, …:
        its value in normal form (`fields.normalise`), null where it says nothing.

    Returns
    -------
    (DataFrame, list of RuleReport)
        ``left``, ``right``, ``probability``; and per rule what its cap left out.
    """
    columns = columns_of(model.fields)
    size = records.count()
    # Parts of a size that a worker holds easily, and no more of them: each costs a tenth of a second.
    parts = max(2 * session.sparkContext.defaultParallelism, size * len(model.rules) // KEYS_IN_PART)
    session.conf.set("spark.sql.shuffle.partitions", str(parts))
    whole = _with_counts(_with_joint(records, model.fields, columns), columns, model.fields).persist(KEPT)
    numbers = range(len(columns))
    filled = whole.agg(*(sql.count(f"c{number}") for number in numbers)).first()
    part = Part(columns, size, tuple(filled or ()))
    keys = _with_words(whole, model.rules, columns).mapInArrow(
        _keys_of(part, model.rules), "rule int, key bigint, row bigint, origin int"
    )
    by_rule, reports = _pairs_in_blocks(keys.persist(KEPT), model)
    pairs = by_rule.select("left", "right").distinct()
    whole = _with_word_counts(whole, columns).persist(KEPT)
    names = ["row", *(f"{kind}{number}" for kind in "cn" for number in numbers)]
    names += [name for name in whole.columns if name.startswith("q")]
    left = whole.select([sql.col(name).alias(f"l_{name}") for name in names])
    right = whole.select([sql.col(name).alias(f"r_{name}") for name in names])
    both = pairs.join(left, sql.col("left") == sql.col("l_row")).join(right, sql.col("right") == sql.col("r_row"))
    return both.mapInArrow(_scores_of(part, model.weights), "left bigint, right bigint, probability double"), reports


def _words(column: Any) -> Any:
    return sql.filter(sql.split(column, " "), lambda word: word != "")


def _with_joint(records: DataFrame, fields: Sequence[Field], columns: Sequence[tuple[str, str]]) -> DataFrame:
    """Add what stands in several fields as one column, its words sorted."""
    for number, (name, _) in enumerate(columns[len(fields) :], len(fields)):
        kind = "name" if name == NAMES else "text"
        parts = [f"c{place}" for place, field in enumerate(fields) if field.comparison == kind]
        joined = sql.array_join(sql.array_sort(_words(sql.concat_ws(" ", *parts))), " ")
        records = records.withColumn(f"c{number}", sql.when(joined != "", joined))
    return records


def _with_counts(records: DataFrame, columns: Sequence[tuple[str, str]], fields: Sequence[Field]) -> DataFrame:
    """Add how many records have each value; a contact that too many have is none."""
    cells = records.select(
        "row",
        sql.inline(
            sql.array(
                *(
                    sql.struct(sql.lit(number).alias("c"), sql.col(f"c{number}").alias("v"))
                    for number in range(len(columns))
                )
            )
        ),
    ).where("v IS NOT NULL")
    counted = cells.join(cells.groupBy("c", "v").agg(sql.count("*").alias("n")), ["c", "v"])
    by_row = counted.groupBy("row").agg(
        sql.map_from_entries(sql.collect_list(sql.struct("c", "n"))).alias("counts"),
    )
    found = records.join(by_row, "row", "left")
    for number, (_, comparison) in enumerate(columns):
        found = found.withColumn(f"n{number}", sql.col("counts")[sql.lit(number)])
        most = MOST_SHARED.get(comparison) if number < len(fields) else None
        if most is not None:
            found = found.withColumn(f"c{number}", sql.when(sql.col(f"n{number}") <= most, sql.col(f"c{number}")))
    return found.drop("counts")


def _with_words(records: DataFrame, rules: Sequence[Rule], columns: Sequence[tuple[str, str]]) -> DataFrame:
    """Add the rarest words of the columns whose rules ask for them."""
    places = {name: number for number, (name, _) in enumerate(columns)}
    wanted: dict[str, int] = {}
    for column, number in (one for rule in rules for atom in rule.atoms if (one := _rarest(atom)) is not None):
        wanted[column] = max(wanted.get(column, 0), number)
    for column, number in wanted.items():
        place = places[column]
        words = records.select("row", sql.explode(sql.array_distinct(_words(sql.col(f"c{place}")))).alias("word"))
        counts = words.groupBy("word").agg(sql.count("*").alias("n")).where("n > 1")
        ranked = (
            words.join(counts, "word")
            .groupBy("row")
            .agg(sql.slice(sql.array_sort(sql.collect_list(sql.struct("n", "word"))), 1, number).alias("found"))
        )
        records = records.join(ranked.select("row", sql.col("found.word").alias(f"w{place}")), "row", "left")
    return records


def _with_word_counts(records: DataFrame, columns: Sequence[tuple[str, str]]) -> DataFrame:
    """Add, for each column that is compared by its words, how many records have each word of the value, in order."""
    for place, (_, comparison) in enumerate(columns):
        if comparison not in BY_WORDS:
            continue
        words = records.select("row", sql.explode(sql.array_distinct(_words(sql.col(f"c{place}")))).alias("word"))
        counted = words.join(words.groupBy("word").agg(sql.count("*").alias("n")), "word")
        by_row = counted.groupBy("row").agg(sql.array_sort(sql.collect_list(sql.struct("word", "n"))).alias("found"))
        records = records.join(by_row.select("row", sql.col("found.n").alias(f"q{place}")), "row", "left")
    return records


def _rarest(atom: tuple[str, str]) -> tuple[str, int] | None:
    """Return the column, and how many of its rarest words an atom asks for."""
    name, _, number = atom[1].partition(":")
    return (atom[0], int(number) if name == "words" else int(number) + 1) if name in ("words", "word") else None


def _keys_of(part: Part, rules: Sequence[Rule]) -> Callable[[Batches], Batches]:
    def keys_of(batches: Batches) -> Batches:
        for batch in batches:
            table = _table(part, [batch], ["c"])
            rows, origins = batch.column("row").to_numpy(), batch.column("origin").to_numpy()
            words = {
                part.columns[int(name[1:])][0]: batch.column(name).to_pylist()
                for name in batch.schema.names
                if name.startswith("w")
            }
            keys = KeysOfPart(table, words)
            for number, rule in enumerate(rules):
                for found, hashes in keys.of_rule(rule):
                    yield pa.RecordBatch.from_arrays(
                        [
                            pa.array(np.full(len(found), number, np.int32)),
                            pa.array(hashes.view(np.int64)),
                            pa.array(rows[found]),
                            pa.array(origins[found]),
                        ],
                        names=["rule", "key", "row", "origin"],
                    )

    return keys_of


def _pairs_in_blocks(keys: DataFrame, model: TrainedModel) -> tuple[DataFrame, list[RuleReport]]:
    """Return the pairs of blocks within the cap, by rule and each once, and what the cap left out."""
    sizes = keys.groupBy("rule", "key").agg(sql.count("*").alias("n")).persist(KEPT)
    kept = keys.join(sizes.where((sql.col("n") > 1) & (sql.col("n") <= MOST_IN_BLOCK)), ["rule", "key"])
    one, other = kept.alias("one"), kept.alias("other")
    same = (sql.col("one.rule") == sql.col("other.rule")) & (sql.col("one.key") == sql.col("other.key"))
    apart = sql.col("one.row") < sql.col("other.row")
    if model.across:
        apart &= sql.col("one.origin") != sql.col("other.origin")
    pairs = one.join(other, same & apart).select(
        sql.col("one.rule").alias("rule"), sql.col("one.row").alias("left"), sql.col("other.row").alias("right")
    )
    found = pairs.distinct().persist(KEPT)
    reports = [RuleReport(rule.label) for rule in model.rules]
    for row in found.groupBy("rule").count().collect():
        reports[row["rule"]].pairs = row["count"]
    large = sizes.where(sql.col("n") > MOST_IN_BLOCK).groupBy("rule")
    sums = large.agg(
        sql.count("*").alias("blocks"), sql.sum("n").alias("records"), sql.expr("sum(n * (n - 1) div 2)").alias("pairs")
    )
    for row in sums.collect():
        report = reports[row["rule"]]
        report.dropped_blocks, report.dropped_records, report.dropped_pairs = (
            row["blocks"],
            row["records"],
            row["pairs"],
        )
    return found, reports


def _scores_of(part: Part, weights: Weights) -> Callable[[Batches], Batches]:
    def scores_of(batches: Batches) -> Batches:
        for batch in batches:
            table = _table(part, [batch, batch], ["l_c", "r_c"], ["l_n", "r_n"])
            for place, (name, comparison) in enumerate(part.columns):
                if comparison in BY_WORDS:
                    counts = [row for one in _cells([batch, batch], ["l_q", "r_q"], place) for row in one.to_pylist()]
                    _count_words(table.columns[name], counts, part.filled[place])
            rows = np.arange(batch.num_rows)
            likely = weights.probabilities(compare(table, rows, rows + batch.num_rows))
            yield pa.RecordBatch.from_arrays(
                [batch.column("left"), batch.column("right"), pa.array(likely)], names=["left", "right", "probability"]
            )

    return scores_of


def _table(part: Part, batches: Sequence[Any], values: Sequence[str], counts: Sequence[str] = ()) -> Table:
    """Return the records of a batch as a table, each value as rare as it is among all records."""
    columns = {}
    size = sum(batch.num_rows for batch in batches)
    for place, (name, comparison) in enumerate(part.columns):
        raw = [value for one in _cells(batches, values, place) for value in one.to_pylist()]
        forms: dict[str | None, int] = {None: MISSING}
        codes = np.fromiter((forms.setdefault(value, len(forms) - 1) for value in raw), np.int32, len(raw))
        distinct = np.empty(len(forms) - 1, object)
        distinct[:] = list(forms)[1:]
        known = np.ones(len(distinct), np.int64)
        if counts:
            numbers = np.concatenate([one.fill_null(0).to_numpy() for one in _cells(batches, counts, place)])
            known[codes[codes != MISSING]] = numbers[codes != MISSING]
        columns[name] = Column(name, comparison, distinct, codes, known, rarity_of(known, part.size))
    return Table(size, columns, np.zeros(size, np.int16), ())


def _count_words(column: Column, counts: Sequence[Sequence[int] | None], filled: int) -> None:
    """Let words be as rare as they are among all records."""
    words = split_words(column)
    known = np.ones(len(words.texts), np.int64)
    for code, given in zip(column.codes.tolist(), counts, strict=True):
        if given is not None:
            known[words.codes[words.starts[code] : words.starts[code + 1]]] = given
    column.words = replace(words, rarity=rarity_of(known, filled))


def _cells(batches: Sequence[Any], prefixes: Sequence[str], place: int) -> list[Any]:
    return [batch.column(f"{prefix}{place}") for batch, prefix in zip(batches, prefixes, strict=True)]
