"""An embedded consortium for development and demonstration: it has no consensus."""
