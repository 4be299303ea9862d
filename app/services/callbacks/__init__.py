"""From the body of a callback to a committed row."""
