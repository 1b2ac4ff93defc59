"""`match`: matches a file whose truth is known, and writes the clusters."""

import csv
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from django.core.management.base import BaseCommand, CommandParser

from cdp.core.errors import CdpError
from profiles.errors import BadModel, ChallengerFailed
from profiles.matching.spec import ModelSpec, read_spec
from profiles.services.matching_cluster import on_cluster
from profiles.services.matching_models import require_matching, require_splink

if TYPE_CHECKING:
    from profiles.matching.trial import Trial


class Command(BaseCommand):
    """Learns from answers that the truth file gives to what is asked, matches, and prints figures as JSON."""

    help = "Match a CSV file whose truth is known; answers are given only for pairs that were asked about."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("model", metavar="MODEL.json", help="key, fields, mode, as in REST")
        parser.add_argument("--truth", required=True, metavar="FILE", help="a CSV: the records, and who they are")
        parser.add_argument("--truth-column", required=True, metavar="COLUMN", help="hidden from the matcher")
        parser.add_argument("--key", default="", metavar="COLUMN", help="names each record; default: the first column")
        parser.add_argument("--labels", type=int, default=200, help="how many questions are answered")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--engine",
            choices=("dedupe", "splink"),
            default="dedupe",
            help="splink is fitted without labels",
        )
        parser.add_argument("--spark", default="", metavar="URL", help="score on this cluster, and here, and compare")
        parser.add_argument("--out", required=True, metavar="clusters.csv", help="record_id,cluster_id")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Match, or say why not and end with 2."""
        try:
            figures = _match(options)
        except CdpError as error:
            faults = [f"{fault.path}: {fault.message}" for fault in error.errors]
            self.stderr.write("\n".join([error.message, *faults]))
            sys.exit(2)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            self.stderr.write(f"A file cannot be read or written: {error}")
            sys.exit(2)
        self.stdout.write(orjson.dumps(figures).decode())


def _match(options: dict[str, Any]) -> dict[str, Any]:
    require_matching()
    # Its packages are compiled at install time and may be missing.
    from profiles.matching.trial import try_model  # noqa: PLC0415

    spec = _read_model(Path(options["model"]))
    rows, ids, truth = _read_truth(options, spec)
    if options["engine"] == "splink":
        trial = _try_splink(options, spec, rows, truth)
    else:
        try:
            trial = try_model(spec=spec, rows=rows, truth=truth, labels=options["labels"], seed=options["seed"])
        except ValueError as error:
            raise BadModel(str(error)) from error
    compared = _on_spark(options["spark"], trial) if options["spark"] else {}
    with Path(options["out"]).open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["record_id", "cluster_id"])
        writer.writerows(zip(ids, trial.clusters, strict=True))
    quality = trial.quality
    return {
        "records": len(rows),
        "labels_used": trial.asked,
        "candidates": trial.candidates,
        "clusters": len(set(trial.clusters)),
        "largest_cluster": quality.largest,
        "precision": round(quality.precision, 4),
        "recall": round(quality.recall, 4),
        "f1": round(quality.f1, 4),
        "b_cubed_f1": round(quality.b3_f1, 4),
        "auto_link_probability": trial.model.auto_link if trial.model else None,
        "training_seconds": round(trial.training_seconds, 1),
        "matching_seconds": round(trial.matching_seconds, 1),
        **compared,
    }


def _try_splink(options: dict[str, Any], spec: ModelSpec, rows: list[dict[str, str]], truth: list[str]) -> "Trial":
    if options["spark"]:
        message = "--spark scores what dedupe learned; --engine splink runs on this machine."
        raise BadModel(message)
    require_splink()
    from profiles.matching.splink import SplinkFailure  # noqa: PLC0415 - as above
    from profiles.matching.trial import try_splink  # noqa: PLC0415 - as above

    try:
        return try_splink(spec=spec, rows=rows, truth=truth, seed=options["seed"])
    except SplinkFailure as error:
        raise ChallengerFailed(str(error)) from error


def _on_spark(url: str, trial: "Trial") -> dict[str, Any]:
    """Score the same candidates on a cluster; return how many pairs are the same, and how far scores differ."""
    from profiles.matching.model import compare_found, run_model  # noqa: PLC0415 - as above

    if trial.model is None:
        return {}
    with on_cluster(url) as find:
        began = time.perf_counter()
        found = find(trial.model, trial.table)
        seconds = time.perf_counter() - began
    trial.clusters = [int(one) for one in run_model(trial.model, trial.table, find=lambda *_: found).clusters]
    return {"spark": {**compare_found(trial.scored, *found), "seconds": round(seconds, 1)}}


def _read_model(path: Path) -> ModelSpec:
    try:
        given = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        message = f"{path.name} is not JSON: {error.msg} at line {error.lineno}."
        raise BadModel(message) from error
    if isinstance(given, dict) and given.get("mode") == "link" and len(given.get("sources") or []) < 2:
        # The file's own column says where each record is from.
        given = {**given, "sources": ["left", "right"]}
    spec, faults = read_spec(given)
    if spec is None:
        message = "The model has faults."
        raise BadModel(message, errors=faults)
    return spec


def _read_truth(options: dict[str, Any], spec: ModelSpec) -> tuple[list[dict[str, str]], list[str], list[str]]:
    csv.field_size_limit(sys.maxsize)
    with Path(options["truth"]).open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        columns = list(reader.fieldnames or [])
        rows = list(reader)
    key, hidden = options["key"] or (columns[0] if columns else ""), options["truth_column"]
    needed = [hidden, key, *(field.trait for field in spec.fields), *(["source"] if spec.mode == "link" else [])]
    missing = [name for name in dict.fromkeys(needed) if name not in columns]
    if missing:
        message = f"The file has no column {', '.join(missing)}; it has {', '.join(columns)}."
        raise BadModel(message)
    if any(field.trait == hidden for field in spec.fields):
        message = f"The model compares {hidden}, which is the truth."
        raise BadModel(message)
    truth = [row.pop(hidden) or "" for row in rows] if key != hidden else [row[hidden] for row in rows]
    return rows, [row[key] for row in rows], truth
