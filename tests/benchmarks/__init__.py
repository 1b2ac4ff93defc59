"""Measurements of what `docs/explanation/performance.md` states. They print; they never assert a time.

`python -m tests.benchmarks` runs all of them at a small size, `python -m tests.benchmarks NAME --size N` one of them.
"""
