"""What the drill does with a database: looking at everything that is stored, and breaking it."""
