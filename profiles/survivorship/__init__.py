"""Survivorship: which of several statements about a trait is believed, and why the others are not. Pure.

`rules` reads and compiles what people decided, `deciding` finds the winner among all statements, `folding` keeps a
trait current by one statement at a time, and says when it cannot know without the others.
"""
