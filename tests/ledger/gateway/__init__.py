"""The ledger's tests once more, through a gateway."""
