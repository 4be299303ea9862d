"""
Purging what was received too long ago, in chunks that hold no lock for long.

Each chunk is a transaction of its own. It takes only rows that no other transaction holds, and
records the greatest position that it removes as the floor of the feed.
"""
