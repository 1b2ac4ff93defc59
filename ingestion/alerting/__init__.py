"""Comparing sources with one another and with their own past: pure, no Django, no clock, no database.

`agreement` compares what two sources say of a person; `baseline` and `detect` tell what is unusual in counts of hours;
`episodes` turns what is unusual at each check into alerts that open, stay and end; `telling` puts them into words.
"""
