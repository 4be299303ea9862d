"""Comparing what is stored with Routee's tracking, and storing what is missing."""
