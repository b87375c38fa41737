"""Where machines are made, behind one interface: `local` and `aws`."""
