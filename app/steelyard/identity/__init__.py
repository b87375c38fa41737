"""Who asks: passwords, tokens, refresh-token families, station credentials."""
