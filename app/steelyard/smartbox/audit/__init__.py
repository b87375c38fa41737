"""Examining an alibi memory: `steelyard alibi`."""
