"""Identity resolution, purely: whose message is this, what joins what, and what is refused (no Django, no clock)."""
