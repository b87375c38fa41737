"""Writes a station's image to a card, proves what was written, and tells the station who it is."""
