"""The authentication & management API: customers, users, stations, weighbridges and devices."""
