"""What changes profiles: recording messages, merging, undoing, splitting."""
