"""What the pages of the dashboard show."""
