"""What runs on a station to change its root: Python's own library only, as its system has no other.

The image has it as /usr/local/lib/steelyard/station_slots.
"""
