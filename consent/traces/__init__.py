"""Searching for what is left of a person after an erasure: SQL, planner statistics, broker, files.

A store that says "erased" proves nothing. This looks for the person's identifiers and public ids in every column that
SQL can read, in what the planner remembers of values, in every key and value of the broker, and in every file of the
data directory but the database's own.
"""
