"""CoAP over DTLS 1.2 between load cells and their SmartBox."""
