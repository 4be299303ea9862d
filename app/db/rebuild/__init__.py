"""
Comparing the projections with the events that are kept, and repairing them.

A comparison is one statement, and so one snapshot: it finds no difference in what is being stored
meanwhile. A repair adds what is lacking, so that it is right beside everything that is added or
folded at the same time.
"""
