"""Fuzzy matching of records, pure: normal forms, blocking, comparisons, learning with dedupe, scoring, clustering.

Knows neither Django nor the database. Its modules import numpy, rapidfuzz, scikit-learn and dedupe, which are compiled
at install time and may be missing: callers import them only when matching is asked for (`services.matching_parts`).

Words: a record is a row to be matched; a pair of records that share a block key is a candidate; its probability is that
of being one person; a cluster is what is taken for one person.
"""
