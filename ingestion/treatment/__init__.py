"""What a source does to its messages: transformations, then the tracking plan, then cleaning. Pure.

Each is JSON → checked and compiled once → applied to every message of the source. Nothing here knows Django, the
database or the clock; whoever calls decides what becomes of a message that a rule stops.
"""
