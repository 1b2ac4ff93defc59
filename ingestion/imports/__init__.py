"""The pure reading of files: bytes in, rows out, and rows into messages.

Owns: what a file is (format, encoding, delimiter, columns and their types), reading it row by row in bounded memory,
the mapping of columns, and what one row says (a message, a deletion, or a fault).
Never: Django, a database, a clock. Times and ids are arguments.
Words: row (one record of a file, counted from 1, the header not), cell, key (the column that names a record), mapping
(what becomes of each column), fault (why a row is refused).
"""
