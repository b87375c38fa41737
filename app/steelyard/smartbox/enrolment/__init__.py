"""Enrolling a SmartBox and its load cells, and renewing what they have."""
