"""Pages and plain views of the kernel."""
