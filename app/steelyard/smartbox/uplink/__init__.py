"""The way to the platform: a token, batches of tickets, and their receipts."""
