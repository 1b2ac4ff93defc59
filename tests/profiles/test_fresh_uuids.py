"""Public ids of profiles: random UUIDs, made in blocks."""

import uuid
from itertools import islice

from profiles.services.graphs import UUIDS_AT_ONCE, fresh_uuids


def test_makes_random_uuids_that_never_repeat():
    made = list(islice(fresh_uuids(), 10 * UUIDS_AT_ONCE + 1))
    assert len(set(made)) == len(made)
    for text in made:
        one = uuid.UUID(text)
        assert (str(one), one.version, one.variant) == (text, 4, uuid.RFC_4122)
    # Every other bit is left to chance: each is 0 in some of them and 1 in others.
    ones = [sum(uuid.UUID(text).int >> bit & 1 for text in made) for bit in range(128)]
    assert sum(count in {0, len(made)} for count in ones) == 6
