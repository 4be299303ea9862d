"""How the dictionaries were made. The service does not import it."""
