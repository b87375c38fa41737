"""The outbox: tickets until the platform has them, and what is no ticket."""
