"""What the kernel reads."""
