"""A ledger node in the field: its keys, the genesis, its state, its votes. The roles use it."""
