"""Segments and static lists by REST."""
