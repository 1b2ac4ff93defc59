"""What public pages, mails and the banner say, in each language: a typed catalogue, so that none lacks a sentence.

Pure. The reason for a catalogue instead of message files: docs/decisions/0015-words-of-public-pages.md.
"""
