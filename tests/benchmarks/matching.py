"""Fuzzy matching: accuracy on sets whose truth is known, beside stock dedupe and Splink; speed on generated people.

The development sets lie outside the repository (`CDP_ER_DATA`, by default beside it); what is missing is said. Each
engine runs in a process of its own, so that its processor time and peak memory are its own.
"""

import csv
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from tests.benchmarks.people import FIELDS, People, make_people
from tests.benchmarks.report import Row

DATA = Path(os.environ.get("CDP_ER_DATA", Path(__file__).resolve().parents[3] / "shared" / "data" / "er"))
FEBRL = [
    ("given_name", "name"), ("surname", "name"), ("street_number", "number"), ("address_1", "text"),
    ("address_2", "text"), ("suburb", "name"), ("postcode", "postcode"), ("state", "exact"),
    ("date_of_birth", "date"), ("soc_sec_id", "exact"),
]  # fmt: skip
PEOPLE = [
    ("first_name", "name"), ("surname", "name"), ("dob", "date"), ("street", "text"), ("city", "text"),
    ("postcode", "postcode"), ("email", "email"), ("phone", "phone"),
]  # fmt: skip
# File, column of the truth, fields, column of the source where records are linked.
SETS: dict[str, tuple[str, str, list[tuple[str, str]], str]] = {
    "febrl1": ("febrl1.csv", "cluster", FEBRL, ""),
    "febrl3": ("febrl3.csv", "cluster", FEBRL, ""),
    "febrl4": ("febrl4.csv", "cluster", FEBRL, "source"),
    "fake_1000": ("fake_1000.csv", "cluster", [PEOPLE[0], PEOPLE[1], PEOPLE[2], PEOPLE[4], PEOPLE[6]], ""),
    "syn10k": ("syn10k.csv", "cluster", PEOPLE, ""),
    "chicago": (
        "chicago_early_childhood.csv",
        "True Id",
        [("Site name", "text"), ("Address", "text"), ("Zip", "postcode"), ("Phone", "phone")],
        "",
    ),
    "abt-buy": (
        "np_abtbuy_gt.csv",
        "entity",
        [("name", "text"), ("description", "text"), ("price", "number")],
        "source",
    ),
    "restaurant": ("np_restaurant.csv", "unique_id", [(one, "text") for one in ("name", "address", "city")], ""),
}
SEEDS = (1, 2, 3)
FEW, LABELS_OF_FEW, LABELS = 20_000, 200, 500
TIMEOUT, TIMEOUT_OF_DEDUPE = 1_800, 300
MANY = 100_000
ENGINES = {"ours": "ours", "dedupe": "dedupe", "splink": "splink", "cold": "ours, without labels (Splink's scores)"}
EM_PAIRS = 100
PEAKS: list[int] = []  # of memory, in learning and in matching, where an engine tells them apart


def matching(size: int) -> list[Row]:
    """Measure every engine on the development sets of up to `size` records, and on generated people."""
    rows = []
    for name in SETS:
        if not (DATA / SETS[name][0]).exists():
            rows.append(Row(f"matching {name}", "", f"SKIPPED: {DATA} has no {SETS[name][0]}"))
            continue
        records = len(_read(name)[0])
        if records <= size:
            rows += _all_engines(name, records, SEEDS)
    for records in sorted({min(size, MANY), size}):
        rows += _all_engines(f"generated:{records}", records, SEEDS[:1])
    return rows


def _all_engines(name: str, records: int, seeds: Sequence[int]) -> list[Row]:
    """Measure the engines in turn, each seed of all before the next: what else the machine does falls on all alike."""
    found: dict[str, list[dict[str, Any]]] = {engine: [] for engine in ENGINES}
    for seed in seeds:
        for engine in ENGINES:
            one = _apart(engine, name, seed)
            if one is not None:
                found[engine].append(one)
    best = max((_middle(found[engine])["f1"] for engine in ("dedupe", "splink") if found[engine]), default=0.0)
    goal = best - 0.01 if best > 0.98 else best
    return [
        _row(f"{ENGINES[engine]}: {name}", records, found[engine], goal if engine == "ours" else None)
        for engine in ENGINES
    ]


def _middle(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def _row(what: str, records: int, found: Sequence[dict[str, Any]], goal: float | None) -> Row:
    if not found:
        return Row(what, f"{records:,}", "NOT MEASURED: it failed, or did not end in time")
    middle = _middle(found)
    return Row(
        what,
        f"{records:,}",
        f"P {middle['precision']:.4f} R {middle['recall']:.4f} F1 {middle['f1']:.4f} B3 {middle['b3_f1']:.4f} "
        f"largest {middle['largest']:.0f}",
        "" if goal is None else f"F1 ≥ {goal:.4f}",
        f"{middle['seconds']:.1f} s, cpu {middle['cpu']:.1f} s, {middle['memory'] / 1e6:.0f} MB"
        + (f", matching alone {middle['matching']:.1f} s" if middle["matching"] else "")
        + (f", {middle['matching_memory'] / 1e6:.0f} MB" if middle["matching_memory"] else ""),
    )


def _apart(engine: str, name: str, seed: int) -> dict[str, Any] | None:
    command = [sys.executable, "-m", "tests.benchmarks.matching", engine, name, str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_timeout(engine, name), check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return None
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{engine} {name} seed {seed}: {answer}\n")
    return answer


def _timeout(engine: str, name: str) -> int:
    # Stock dedupe has no cap on blocks: how long it takes of many people depends on what it happens to learn.
    return TIMEOUT_OF_DEDUPE if engine == "dedupe" and name.startswith("generated:") else TIMEOUT


def _read(name: str) -> tuple[list[dict[str, str]], list[str], list[tuple[str, str]], str]:
    if name.startswith("generated:"):
        people = _make_people(int(name.partition(":")[2]))
        rows = [dict(zip(FIELDS, values, strict=True)) for values in zip(*people.columns.values(), strict=True)]
        return rows, list(map(str, people.truth)), PEOPLE, ""  # type: ignore[return-value]
    file, truth, fields, source = SETS[name]
    if name == "abt-buy":
        rows = _read_abt_buy()
        return rows, [row[truth] for row in rows], fields, source
    with (DATA / file).open(newline="", encoding="utf-8", errors="replace") as opened:
        rows = list(csv.DictReader(opened, skipinitialspace=True))
    return rows, [row[truth] for row in rows], fields, source


@cache
def _make_people(records: int) -> People:
    return make_people(records)


def _read_abt_buy() -> list[dict[str, str]]:
    """Return the products of both shops; one of the second is the entity of what the truth pairs it with."""

    def read(part: str) -> list[dict[str, str]]:
        with (DATA / f"np_abtbuy_{part}.csv").open(newline="", encoding="utf-8", errors="replace") as opened:
            return list(csv.DictReader(opened, delimiter="|"))

    pairs = {pair["D2"]: pair["D1"] for pair in read("gt")}
    ours = [{**row, "source": "abt", "entity": row["id"]} for row in read("abt")]
    return ours + [{**row, "source": "buy", "entity": pairs.get(row["id"], f"buy {row['id']}")} for row in read("buy")]


def run_ours(name: str, seed: int) -> tuple[list[int], float]:
    """Learn from answers that the truth gives, and match."""
    from profiles.matching import trial as trials

    def run_model(*given: Any, **named: Any) -> Any:
        """Match, with the peak of memory counted anew from here on."""
        peaks.append(_peak())
        Path("/proc/self/clear_refs").write_text("5")
        found = original(*given, **named)
        peaks.append(_peak())
        return found

    peaks: list[int] = []
    original, trials.run_model = trials.run_model, run_model
    spec, rows, truth = _spec_of(name)
    labels = LABELS_OF_FEW if len(rows) < FEW else LABELS
    trial = trials.try_model(spec=spec, rows=rows, truth=truth, labels=labels, seed=seed)
    sys.stderr.write(f"{trial.candidates} candidates, {len(trial.model.rules)} rules, steps {dict(trial.steps)}\n")
    sys.stderr.write(f"peak of learning {peaks[0] / 1e6:.0f} MB, of matching {peaks[1] / 1e6:.0f} MB\n")
    PEAKS.extend(peaks)
    return trial.clusters, trial.matching_seconds


def run_cold(name: str, seed: int) -> tuple[list[int], float]:
    """Begin without labels: Splink's scores over our candidates, our guards."""
    from profiles.matching.trial import try_splink

    spec, rows, truth = _spec_of(name)
    trial = try_splink(spec=spec, rows=rows, truth=truth, seed=seed)
    return trial.clusters, trial.matching_seconds


def _spec_of(name: str) -> tuple[Any, list[dict[str, str]], list[str]]:
    """Return what is compared in a set, its records, and the truth."""
    from profiles.matching.fields import Field
    from profiles.matching.spec import ModelSpec

    rows, truth, fields, source = _read(name)
    if source:
        rows = [{**row, "source": row[source]} for row in rows]
    mode = "link" if source else "deduplicate"
    return ModelSpec(name, name, (), tuple(Field(*one) for one in fields), mode, 0.995), rows, truth


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def run_dedupe(name: str, seed: int) -> tuple[list[int], float]:
    """Stock dedupe: its own sample, questions, blocking, scores and clusters; without what takes all memory."""
    import random

    import dedupe
    from dedupe import predicates, variables

    from profiles.matching.fields import normalise

    rows, truth, fields, _source = _read(name)
    random.seed(seed)
    definition = []
    for trait, _ in fields:
        made = variables.ShortString(trait, has_missing=True)
        made.predicates = [
            one
            for one in made.predicates
            if not isinstance(one, predicates.ExistsPredicate | predicates.IndexPredicate)
        ]
        definition.append(made)
    records = {
        number: {trait: normalise(row[trait] or None, kind) for trait, kind in fields} | {"~": number}
        for number, row in enumerate(rows)
    }
    deduper = dedupe.Dedupe(definition, num_cores=0, in_memory=True)
    deduper.classifier.n_jobs = 1
    sample = random.sample(sorted(records), min(1_500, len(records)))
    deduper.prepare_training({number: records[number] for number in sample})
    for _ in range(LABELS_OF_FEW if len(rows) < FEW else LABELS):
        ((one, other),) = deduper.uncertain_pairs()
        same = truth[one["~"]] == truth[other["~"]]
        deduper.mark_pairs({"match": [(one, other)] if same else [], "distinct": [] if same else [(one, other)]})
    deduper.train(recall=0.95, index_predicates=False)
    began = time.perf_counter()
    clusters = list(range(len(rows)))
    for label, (members, _) in enumerate(deduper.partition(records, 0.5), len(rows)):
        for member in members:
            clusters[member] = label
    return clusters, time.perf_counter() - began


def run_splink(name: str, seed: int) -> tuple[list[int], float]:
    """Splink, unsupervised: u by sampling, two sessions of EM, connected components from 0.95 on."""
    import pandas as pd
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    from profiles.matching.fields import normalise

    rows, _, fields, source = _read(name)
    names = [trait.replace(" ", "_") for trait, _ in fields]
    frame = pd.DataFrame(
        [[normalise(row[trait] or None, kind) for trait, kind in fields] for row in rows], columns=names, dtype=object
    )
    frame["unique_id"] = range(len(frame))
    made = [
        cl.DamerauLevenshteinAtThresholds(trait, [1, 2])
        if kind in ("date", "number", "phone", "postcode", "exact")
        else cl.JaroWinklerAtThresholds(trait, [0.92, 0.8]).configure(term_frequency_adjustments=True)
        for trait, (_, kind) in zip(names, fields, strict=True)
    ]
    # What a column, or its first word, gives few pairs of alone is a rule by itself; of the rest two together are.
    parts = dict(zip(names, names, strict=True))
    for trait, (_, kind) in zip(names, fields, strict=True):
        if kind == "text":
            frame[f"{trait}_1"] = frame[trait].str.partition(" ")[0]
            parts[f"{trait}_1"] = f"split_part({trait}, ' ', 1)"
    costs = {part: int((n := frame[part].value_counts()).mul(n - 1).sum() // 2) for part in parts}
    alone = [part for part in parts if 0 < costs[part] <= 20 * len(rows)]
    others = [pair for pair in itertools.combinations(names, 2) if not {*pair} & set(alone)]
    rules = [*(block_on(parts[part]) for part in alone), *(block_on(*pair) for pair in others)]
    settings = SettingsCreator(
        link_type="link_only" if source else "dedupe_only",
        comparisons=made,
        blocking_rules_to_generate_predictions=rules,
    )
    engine = DuckDBAPI()
    origins = pd.Series([row[source] if source else "" for row in rows])
    tables = [
        engine.register(frame[origins == one].copy(), dataset_display_name=f"part_{one}")
        for one in sorted(set(origins))
    ]
    linker = Linker(tables if source else tables[0], settings, log_level=40)
    sure = list(itertools.combinations(sorted(names, key=costs.__getitem__)[:4], 3))
    if not any(frame.dropna(subset=list(one)).duplicated(list(one)).sum() > EM_PAIRS for one in sure):
        sure = list(itertools.combinations(sorted(parts, key=costs.__getitem__), 2))
    certain = [block_on(*(parts[part] for part in one)) for one in sure]
    linker.training.estimate_probability_two_random_records_match(certain, recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=seed)
    sessions = sorted(alone, key=costs.__getitem__)
    first = names[:2] if frame.dropna(subset=names[:2]).duplicated(names[:2]).sum() > EM_PAIRS else sessions[-1:]
    for trained in (first, sessions[:1]):
        rule = block_on(*(parts[part] for part in trained))
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    began = time.perf_counter()
    pairs = linker.inference.predict(threshold_match_probability=0.05)
    found = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, 0.95).as_pandas_dataframe()
    labels = dict(zip(found["unique_id"], found["cluster_id"], strict=True))
    numbers: dict[Any, int] = {}
    return [
        numbers.setdefault(labels.get(row, ("alone", row)), len(numbers)) for row in range(len(rows))
    ], time.perf_counter() - began


def main() -> None:
    """Run one engine on one set, and print its figures as JSON."""
    from profiles.matching.evaluating import judge_clusters

    engine, name, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    truth = _read(name)[1]
    began, cpu = time.perf_counter(), time.process_time()
    run = {"ours": run_ours, "dedupe": run_dedupe, "splink": run_splink, "cold": run_cold}[engine]
    clusters, alone = run(name, seed)
    quality = judge_clusters(
        {str(row): one for row, one in enumerate(clusters)}, {str(row): one for row, one in enumerate(truth)}
    )
    figures = {
        **asdict(quality),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "memory": max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, *PEAKS, 0),
        "matching": alone,
        "matching_memory": PEAKS[1] if PEAKS else 0,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
