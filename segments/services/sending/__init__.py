"""What leaves the house: the gate, exports, destinations, deliveries.

`gated` alone reads people; `posting` and `filing` alone write files and send requests, and know only what the gate
handed out (an import contract in pyproject.toml).
"""
