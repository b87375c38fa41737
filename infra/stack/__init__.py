"""A stack's configuration, and what follows from it. Knows no Pulumi: it is tried without it."""
