"""What a person runs to try the service or to prove it."""
