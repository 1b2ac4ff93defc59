"""IAB transparency and consent strings (TCF 2): read whole or not at all, judged, and mapped to purposes.

Pure: no clock, no database, no network. `decode` reads a string, `judge` says whether it may count, `read_answer` says
what it means for purposes.
"""
