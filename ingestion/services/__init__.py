"""What changes collection: sources, the processor, quarantine, held messages."""
