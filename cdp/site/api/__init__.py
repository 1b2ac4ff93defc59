"""REST over several apps."""
