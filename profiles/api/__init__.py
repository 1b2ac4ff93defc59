"""REST of profiles."""
