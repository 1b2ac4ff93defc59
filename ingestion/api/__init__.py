"""REST of ingestion."""
