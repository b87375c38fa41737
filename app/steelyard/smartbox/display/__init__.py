"""The operator's display: pages that the SmartBox serves to its touch screen and to browsers."""
