"""Letters to people about their privacy requests, in four languages: pure texts and how they are put together."""
