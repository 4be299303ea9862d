"""What the dashboard asks: roll-ups, look-ups by an index, and scans with a bound."""
