"""Fuzzy matching: accuracy on sets whose truth is known, beside stock dedupe and Splink; speed on generated people.

The development sets lie outside the repository (`CDP_ER_DATA`, by default beside it); what is missing is said. Each
engine runs in a process of its own, so that its processor time and peak memory are its own.
"""

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.people import FIELDS, make_people
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
    "restaurant": ("np_restaurant.csv", "unique_id", [(one, "text") for one in ("name", "address", "city")], ""),
}
SEEDS = (1, 2, 3)
FEW, LABELS_OF_FEW, LABELS = 20_000, 200, 500
TIMEOUT = 1_800


def matching(size: int) -> list[Row]:
    """Measure accuracy on the development sets of up to `size` records, and speed on as many generated ones."""
    rows = []
    for name in SETS:
        if not (DATA / SETS[name][0]).exists():
            rows.append(Row(f"matching {name}", "", f"SKIPPED: {DATA} has no {SETS[name][0]}"))
            continue
        records = len(_read(name)[0])
        if records > size:
            continue
        for engine in ("ours", "dedupe", "splink"):
            found = [_apart(engine, name, seed) for seed in (SEEDS if engine != "splink" else SEEDS[:1])]
            rows.append(_row(f"{engine}: {name}", records, [one for one in found if one]))
    found = _apart("ours", f"generated:{size}", 1)
    rows.append(_row("ours: generated people", size, [found] if found else []))
    return rows


def _row(what: str, records: int, found: Sequence[dict[str, Any]]) -> Row:
    if not found:
        return Row(what, f"{records:,}", "NOT MEASURED: it failed, or did not end in time")
    middle = {key: statistics.median(one[key] for one in found) for key in found[0]}
    return Row(
        what,
        f"{records:,}",
        f"P {middle['precision']:.4f} R {middle['recall']:.4f} F1 {middle['f1']:.4f} B3 {middle['b3_f1']:.4f} "
        f"largest {middle['largest']:.0f}",
        "F1 of the better of both" if what.startswith("ours") else "",
        f"{middle['seconds']:.1f} s, cpu {middle['cpu']:.1f} s, {middle['memory'] / 1e6:.0f} MB"
        + (f", matching alone {middle['matching']:.1f} s" if middle["matching"] else ""),
    )


def _apart(engine: str, name: str, seed: int) -> dict[str, Any] | None:
    command = [sys.executable, "-m", "tests.benchmarks.matching", engine, name, str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return None
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(f"{engine} {name} seed {seed}: {answer}\n")
    return answer


def _read(name: str) -> tuple[list[dict[str, str]], list[str], list[tuple[str, str]], str]:
    if name.startswith("generated:"):
        people = make_people(int(name.partition(":")[2]))
        rows = [dict(zip(FIELDS, values, strict=True)) for values in zip(*people.columns.values(), strict=True)]
        return rows, list(map(str, people.truth)), PEOPLE, ""  # type: ignore[return-value]
    file, truth, fields, source = SETS[name]
    with (DATA / file).open(newline="", encoding="utf-8", errors="replace") as opened:
        rows = list(csv.DictReader(opened, skipinitialspace=True))
    return rows, [row[truth] for row in rows], fields, source


def run_ours(name: str, seed: int) -> tuple[list[int], float]:
    """Learn from answers that the truth gives, and match."""
    from profiles.matching.fields import Field
    from profiles.matching.spec import ModelSpec
    from profiles.matching.trial import try_model

    rows, truth, fields, source = _read(name)
    if source:
        rows = [{**row, "source": row[source]} for row in rows]
    mode = "link" if source else "deduplicate"
    spec = ModelSpec(name, name, (), tuple(Field(*one) for one in fields), mode, 0.995)
    labels = LABELS_OF_FEW if len(rows) < FEW else LABELS
    trial = try_model(spec=spec, rows=rows, truth=truth, labels=labels, seed=seed)
    sys.stderr.write(f"{trial.candidates} candidates, {len(trial.model.rules)} rules, steps {dict(trial.steps)}\n")
    return trial.clusters, trial.matching_seconds


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
    from splink.clustering import cluster_pairwise_predictions_at_threshold  # noqa: F401

    from profiles.matching.fields import normalise

    rows, _, fields, source = _read(name)
    frame = pd.DataFrame(
        [{trait.replace(" ", "_"): normalise(row[trait] or None, kind) for trait, kind in fields} for row in rows]
    )
    frame["unique_id"] = range(len(frame))
    names = [trait.replace(" ", "_") for trait, _ in fields]
    made = {
        trait: cl.LevenshteinAtThresholds(trait, [1, 2])
        if kind in ("date", "number", "phone", "postcode", "exact")
        else cl.JaroWinklerAtThresholds(trait, [0.92, 0.8]).configure(term_frequency_adjustments=True)
        for trait, (_, kind) in zip(names, fields, strict=True)
    }
    rules = [block_on(a, b) for number, a in enumerate(names) for b in names[number + 1 :]][:20]
    settings = SettingsCreator(
        link_type="dedupe_only", comparisons=list(made.values()), blocking_rules_to_generate_predictions=rules
    )
    linker = Linker(frame, settings, DuckDBAPI())
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=seed)
    for one in names[:2]:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(one))
    began = time.perf_counter()
    pairs = linker.inference.predict(threshold_match_probability=0.05)
    found = linker.clustering.cluster_pairwise_predictions_at_threshold(pairs, 0.95).as_pandas_dataframe()
    del source
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
    run = {"ours": run_ours, "dedupe": run_dedupe, "splink": run_splink}[engine]
    clusters, alone = run(name, seed)
    quality = judge_clusters(
        {str(row): one for row, one in enumerate(clusters)}, {str(row): one for row, one in enumerate(truth)}
    )
    figures = {
        **asdict(quality),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "matching": alone,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
