"""REST of the kernel, and what every other app's REST stands on: keys, scopes, pages, problems, JSON."""
