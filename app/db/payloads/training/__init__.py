"""How the dictionaries were made. Nothing of it runs in the service."""
