"""Where Steelyard runs: machines on this computer, and the cloud's beside them."""
