"""The feed in SQL: its pages, its positions, and its epoch."""
