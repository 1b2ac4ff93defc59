"""A person's data as files that the person can read: pure rendering of what the stores export."""
