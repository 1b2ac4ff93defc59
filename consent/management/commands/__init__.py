"""Commands of ingestion."""
