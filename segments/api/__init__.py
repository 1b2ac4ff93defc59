"""REST of segments."""
