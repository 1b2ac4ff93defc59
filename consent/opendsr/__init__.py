"""OpenDSR 2.0 (and OpenGDPR 1.0, its first version): the wire format, pure.

Reads requests of controllers strictly where they decide what is done with a person, liberally in spelling; builds the
answers. Where the specification contradicts itself, docs/decisions/0024-readings-of-opendsr.md says how it is read.
"""
