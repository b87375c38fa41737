"""From load cells' samples to a ticket that can be recorded."""
