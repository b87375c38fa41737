"""Machines in the cloud: EC2, with everything that they need around them."""
