"""What is accepted is accounted for, to the message, whatever dies: faults under load, and the account afterwards.

`python -m tests.faults` runs the campaign and prints the table of docs/explanation/faults.md; the journeys
(`tests/journeys/test_faults.py`) run each fault a few times.
"""
