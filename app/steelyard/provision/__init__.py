"""Makes the platform know what a consortium's description says, by the management API alone."""
