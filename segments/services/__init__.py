"""What changes segments: definitions, membership, lists."""
