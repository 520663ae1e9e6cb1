"""The hand-over types and contracts: the only modules that a plugin author needs."""
