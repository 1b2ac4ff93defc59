"""What consent writes: purposes, notices, decisions, suppressions, privacy requests, erasures."""
