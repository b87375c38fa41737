"""Imported once, in the parent of all the demo's processes, so that they share what it loads."""

import gc
import importlib

_ROOMS = (
    "steelyard.cli",
    "steelyard.sandbox.cli",
    "steelyard.registry.cli",
    "steelyard.tickets.cli",
    "steelyard.smartbox.cli",
    "steelyard.loadcell.cli",
)

for room in _ROOMS:
    importlib.import_module(room)

# What is loaded is never garbage: the collector need not touch (and so copy) its pages.
gc.collect()
gc.freeze()
