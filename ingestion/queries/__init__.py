"""What is read of collection: sources, messages, counts."""
