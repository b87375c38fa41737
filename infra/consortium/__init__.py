"""What a consortium is made of: read from one description, checked before anything is changed."""
