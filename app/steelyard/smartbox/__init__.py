"""The station's SmartBox: from the load cells' samples to a receipt from the ledger."""
