"""Figures of a host that only the host can see, for node_exporter's directory of text files."""
