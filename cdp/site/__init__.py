"""The top layer: pages and REST put together over several apps (overview, profile page, search, API root).

Owns: no tables. Never: writes; rules of its own.
Below it: every app.
"""
