"""The load cell communicator: sends what a cell carries to the station's SmartBox."""
