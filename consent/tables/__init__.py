"""Tables of consents: which columns mean what, ours and those of consent tools. Pure: rows in, claims or faults out."""
