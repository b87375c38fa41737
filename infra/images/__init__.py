"""The station's image: what it is made of, and how its files become a card's bytes."""
