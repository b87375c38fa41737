"""The alibi memory: its files, their format, and how long they are kept."""
