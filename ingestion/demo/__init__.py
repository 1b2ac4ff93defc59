"""The demo: a year of a grocery chain's loyalty-card holders, sent through the public collection API.

Owns: reading the Complete Journey from its package, moving its year so that the last day is yesterday, inventing the
online side that the data lacks (names, contacts, devices, visits, choices; seeded, and marked as invented), and sending
all of it as Segment messages.
Never: writes rows of customers itself; everything passes the same door as anybody's events.
Words: household, card, basket, line, register (the card register that the `crm` source exports), visit, choice.
"""
