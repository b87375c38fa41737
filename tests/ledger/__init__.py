"""A package, so that the network of these tests ends with the last of them (pytest's scope)."""
