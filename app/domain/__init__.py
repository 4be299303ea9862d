"""The vocabulary and the rules of message delivery, as pure functions."""
