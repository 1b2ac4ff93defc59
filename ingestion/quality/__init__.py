"""How good a source's messages are: what is counted of a message, what a rule says of a value, and the scores.

Pure: no database, no clock. `counting` looks at messages one by one, `rules` judges values, `agreement` compares those
of two sources, `delays` keeps how late messages were, `scores` makes shares of 0 to 100 of what was counted. The
formulae are told in `docs/reference/quality.md`.
"""
