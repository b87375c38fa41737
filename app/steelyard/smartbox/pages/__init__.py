"""What the SmartBox serves on its own machine, and asking for it."""
