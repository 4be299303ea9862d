"""Erasing a recipient in SQL: who is erased, and which rows have the number."""
