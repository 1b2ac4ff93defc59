"""The pages on which people ask for their rights, by language."""

from collections.abc import Mapping

from consent.words.catalogue import IntakeWords
from consent.words.english import ENGLISH_INTAKE
from consent.words.french import FRENCH_INTAKE
from consent.words.german import GERMAN_INTAKE
from consent.words.spanish import SPANISH_INTAKE

INTAKE: Mapping[str, IntakeWords] = {
    "en": ENGLISH_INTAKE,
    "de": GERMAN_INTAKE,
    "fr": FRENCH_INTAKE,
    "es": SPANISH_INTAKE,
}
