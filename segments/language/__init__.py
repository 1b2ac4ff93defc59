"""The segment language `segment/v1`: pure, without Django, clock or database.

JSON → `parse` → frozen nodes, each knowing its path → `check` against a `Catalogue` → `compile_segment` (SQL),
`sentence` (English), `evaluate` and `explain` (the reference in Python), `depends` (what a change has to touch to
matter), `next_change` (when time alone may change the answer).

Each kind of condition is one class that has all of these side by side; `families` lists them.
"""
