"""Pages of consent and privacy."""
