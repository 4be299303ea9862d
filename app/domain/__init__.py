"""The vocabulary and the rules of delivery, as pure functions."""
