"""What consent reads."""
