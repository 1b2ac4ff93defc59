"""REST of consent."""
