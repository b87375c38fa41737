"""From the cells' signal to a weight, and from weights to a weighing: pure, without a network."""
