"""What every test may use. The servers are started by `tests.servers`, which pyproject.toml loads earlier."""
