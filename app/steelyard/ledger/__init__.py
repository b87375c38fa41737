"""The ledger seam: everything above it is the same for every engine."""
