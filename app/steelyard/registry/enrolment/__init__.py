"""Enrolment of devices by the management API: claims, certificates, and what a device is told."""
