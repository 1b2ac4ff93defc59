"""What the pages of fuzzy matching say: states, blocking rules, thresholds and differences, in words for people."""

import math
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from cdp.core.errors import InvalidInput
from cdp.core.templatetags.shown import thousands
from profiles.matching_models import MatchCandidate, MatchModel, MatchRun, MatchVersion

# Of the population stability index, as it is commonly read.
STEADY, ANOTHER = 0.1, 0.25
# After so many answers a model is good for something.
ENOUGH_LABELS = 200
# Letters are compared one by one in texts up to this length; beyond it that takes too long for a page.
MOST_MARKED = 300
JOINT_IN_WORDS = {"~names": "all names together", "~texts": "all texts together"}
PARTS_IN_WORDS = {
    "sound": "the sound of",
    "start": "the beginning of",
    "end": "the end of",
    "first": "the first word of",
    "year": "the year of",
    "month": "year and month of",
    "day": "month and day of",
    "local": "what is before the @ of",
    "district": "the first three characters of",
}
MODES_IN_WORDS = {"deduplicate": "the same person twice, anywhere", "link": "the same person in different sources"}
STATES_IN_WORDS = {"open": "To decide", "merged": "Joined", "different": "Different", "gone": "No longer there"}
MODEL_IN_WORDS: Mapping[str, tuple[str, str]] = {
    MatchModel.Status.PREPARING: ("choosing questions", "chip-info"),
    MatchModel.Status.ASKING: ("waiting for answers", ""),
    MatchModel.Status.TRAINING: ("being trained", "chip-info"),
    MatchModel.Status.TRAINED: ("trained", "chip-good"),
    MatchModel.Status.FAILED: ("failed", "chip-bad"),
}
RUN_IN_WORDS: Mapping[str, tuple[str, str]] = {
    MatchRun.Status.QUEUED: ("waiting", "chip-info"),
    MatchRun.Status.RUNNING: ("comparing", "chip-info"),
    MatchRun.Status.APPLYING: ("joining", "chip-info"),
    MatchRun.Status.DONE: ("done", "chip-good"),
    MatchRun.Status.FAILED: ("failed", "chip-bad"),
}

Piece = tuple[str, bool]
EVERYTHING = (0.0, 1.0)
MOST_DIGITS = 18


def state_of(model: Mapping[str, Any], runs: Sequence[MatchRun]) -> dict[str, Any]:
    """Return what a model does now, what comes next, and whether the worker is at it."""
    status = model["status"]
    going = next((one for one in runs if one.finished_at is None), None)
    answers = model["labels"]["same"] + model["labels"]["different"]
    missing = ENOUGH_LABELS - answers
    says = []
    if status == MatchModel.Status.PREPARING:
        says.append("The worker reads the records and chooses the first pairs to ask about.")
    elif status == MatchModel.Status.TRAINING:
        says.append("It is being trained; answers may go on meanwhile.")
    elif model["version"] is None and not answers and not model["open_questions"]:
        says.append("There is nothing to ask: do its sources have records, and do two of them agree in any trait?")
    elif model["version"] is None and missing > 0:
        says.append(f"Next: answer some {missing} {'more ' if answers else ''}questions, then train it.")
    elif model["version"] is None:
        says.append("Next: train it.")
    if model["version"] is not None:
        says.append(f"Version {model['version']} is in force.")
    if going is not None:
        says.append(f"Run {going.pk}: {RUN_IN_WORDS[going.status][0]}.")
    elif model["version"] is not None and not runs:
        says.append("Next: match, which compares everybody and joins nobody.")
    return {
        "says": says,
        "is_busy": going is not None or status in (MatchModel.Status.PREPARING, MatchModel.Status.TRAINING),
    }


def challenge_in_words(
    run: MatchRun | None, version: MatchVersion | None, beside_version: MatchVersion | None
) -> list[str]:
    """Return what the last run of Splink found, in sentences; none without such a run.

    Parameters
    ----------
    version : MatchVersion or None
        What that run fitted.
    beside_version : MatchVersion or None
        What was in force then; another one may be now.
    """
    if run is None or version is None:
        return []
    measured = version.measured
    known = thousands(measured["frozen_labels"])
    says = []
    if beside_version is None:
        says.append(f"Run {run.pk} of Splink: what it holds likely is among the possible duplicates and the questions.")
    elif measured.get("f1_on_frozen") is not None and beside_version.measured.get("f1") is not None:
        ours, theirs = beside_version.measured["f1"], measured["f1_on_frozen"]
        says.append(
            f"Run {run.pk} of Splink: F1 {theirs:.3f} on the {known} labels that version {beside_version.version} "
            f"knew, which has {ours:.3f}."
        )
        if theirs > ours:
            says.append("It does better without a single label: look at which fields are compared, and label more.")
    beside = run.figures.get("beside")
    if beside:
        both, ours, theirs = (thousands(beside[name]) for name in ("both", "only_in_force", "only_challenger"))
        says.append(
            f"Both take {both} pairs for one person, only version {beside['version']} takes {ours}, only Splink takes "
            f"{theirs}. The clearest of those on which they disagree are among the questions."
        )
    return says


def drift_in_words(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return drift in words, with the fields whose share moved by a hundredth or more."""
    if found is None:
        return None
    moved = found["probabilities"]
    words = ((STEADY, "steady"), (ANOTHER, "a little different: look at the queue"))
    word = next((word for most, word in words if moved < most), "another kind of data: label and train again")
    fields = [
        (name, 100 * abs(share), "more" if share > 0 else "fewer")
        for name, share in found["filled"].items()
        if abs(share) >= 0.01
    ]
    return {**found, "word": word, "fields": [one for one in fields if not one[0].startswith("~")]}


def blocking_in_words(last: MatchRun | None) -> list[dict[str, Any]]:
    """Return what each rule of a run gave and left out, the rule in words."""
    if last is None:
        return []
    return [
        {**one, "rule": ", ".join(_part_in_words(part) for part in one["rule"].split(" + "))}
        for one in last.figures.get("blocking", [])
    ]


def _part_in_words(part: str) -> str:
    name, _, atom = part.rpartition(".")
    kind, _, detail = atom.partition(":")
    if not name or (atom not in PARTS_IN_WORDS and kind not in ("words", "learned")):
        return JOINT_IN_WORDS.get(part, part)
    name = JOINT_IN_WORDS.get(name, name)
    if kind == "words":
        return f"one of the {detail} rarest words of {name}"
    if kind == "learned":
        # Functions of dedupe have names like `sameThreeCharStartPredicate`.
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", detail.removesuffix("Predicate")).lower()
        return f"{name} by what dedupe learned ({words})"
    return f"{PARTS_IN_WORDS[atom]} {name}"


def curve_of(measured: Mapping[str, Any], last: MatchRun | None) -> list[dict[str, Any]]:
    """Return precision and recall on labels held back, by threshold, and how many pairs of a run reach it."""
    real = measured.get("same") or 0
    curve = measured.get("curve", [])
    bins = last.figures.get("histogram") if last is not None else None
    return [
        {
            "threshold": one["threshold"],
            "claimed": one["claimed"],
            "precision": one["right"] / one["claimed"] if one["claimed"] else None,
            "recall": one["right"] / real if real else None,
            "pairs": sum(bins[round(one["threshold"] * len(bins)) :]) if bins else None,
        }
        for one in curve
    ]


def rows_of(pair: Mapping[str, Any], traits: Sequence[str]) -> list[dict[str, Any]]:
    """Return the fields of two records side by side, each value in pieces that differ and pieces that do not."""
    left, right = pair["left"]["traits"], pair["right"]["traits"]
    rows = []
    for name in traits:
        if name in left or name in right:
            one, other = left.get(name), right.get(name)
            rows.append({"name": name, "differs": one != other, "sides": mark_differences(one, other)})
    return rows


def mark_differences(one: Any, other: Any) -> tuple[list[Piece] | None, list[Piece] | None]:
    """Return both values in pieces, each with whether it differs; None for a value that is missing."""
    left, right = (None if value is None else _plain(value) for value in (one, other))
    if left is None or right is None or left == right or max(len(left), len(right)) > MOST_MARKED:
        return (None if left is None else [(left, False)], None if right is None else [(right, False)])
    found = SequenceMatcher(None, left, right, autojunk=False)
    if found.ratio() < 0.5:
        # Two different words: marking the letters that they share by chance would only confuse.
        return [(left, True)], [(right, True)]
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for tag, a, b, c, d in found.get_opcodes():
        if b > a:
            pieces[0].append((left[a:b], tag != "equal"))
        if d > c:
            pieces[1].append((right[c:d], tag != "equal"))
    return pieces


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_plain, value))
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return "nothing" if value is None else str(value)


def waterfall_of(row: MatchCandidate) -> list[dict[str, Any]]:
    """Return what each field adds, with where its bar begins and how long it is, in percent of the whole width."""
    steps: list[tuple[str, float, float]] = []
    level = 0.0
    for name, bits in sorted(row.contributions.items(), key=lambda one: (one[0] != "bias", -abs(one[1]))):
        steps.append((name, bits, level))
        level += bits
    low = min([0.0, *(min(start, start + bits) for _, bits, start in steps)])
    width = max([0.0, *(max(start, start + bits) for _, bits, start in steps)]) - low or 1.0
    words = {"bias": "before any field", **JOINT_IN_WORDS}
    return [
        {
            "name": words.get(name, name),
            "bits": bits,
            "start": round(100 * (min(start, start + bits) - low) / width, 1),
            "width": round(max(0.5, 100 * abs(bits) / width), 1),
            "total": start + bits,
        }
        for name, bits, start in steps
    ]


def probability_in_words(probability: float) -> str:
    """Write a probability with three digits; what is almost sure is not written as sure."""
    if probability > 0.999:
        return "more than 0.999"
    return "less than 0.001" if probability < 0.001 else f"{probability:.3f}"


def labels_needed(precision: float) -> int:
    """Return how many right answers in a row show a precision with 95 % confidence."""
    return math.ceil(math.log(0.05) / math.log(precision))


def fault_in_words(path: str, message: str) -> str:
    """Say what is wrong with a model, of its traits by the line that they stand in."""
    place = re.fullmatch(r"fields\[(\d+)\](?:\.(\w+))?", path)
    if place is None:
        return f"{path.replace('_', ' ').capitalize()}: {message}"
    hint = " Write it as “first_name: name”." if place[2] == "trait" else ""
    return f"Trait {int(place[1]) + 1}: {message}{hint}"


def read_number(text: str) -> float | None:
    """Read a number that a form sends; None where it is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def read_id(text: str) -> int | None:
    """Read an id that a form sends; None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


def read_bounds(given: Mapping[str, str]) -> tuple[float, float]:
    """Read two probabilities, which may be left out.

    Raises
    ------
    InvalidInput
        If one is no probability: taking in everybody instead would decide what nobody looked at.
    """
    found = []
    for name, missing in zip(("least", "most"), EVERYTHING, strict=True):
        number = missing if name not in given else read_number(given[name])
        if number is None or not 0.0 <= number <= 1.0:
            message = "A probability is a number from 0 to 1."
            raise InvalidInput(message)
        found.append(number)
    return found[0], found[1]


def read_decision(given: Mapping[str, str]) -> str:
    """Read what somebody decided of a pair.

    Raises
    ------
    InvalidInput
        If it is neither: nothing is decided by accident.
    """
    decision = given.get("decision", "")
    if decision not in ("same", "different"):
        message = "A pair is decided as the same or as different."
        raise InvalidInput(message)
    return decision
