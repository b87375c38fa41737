"""The weighing tickets API: stations register, users query."""
