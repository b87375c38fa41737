"""A local network of the real engines: GoQuorum nodes with a Tessera each, on one machine."""
