"""What the kernel writes: audit trail, jobs, mail, wake-ups, keys and accounts."""
