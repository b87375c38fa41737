"""The door before a host's ledger nodes: mutual TLS, and a list of what may be asked."""
