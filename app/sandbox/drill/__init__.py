"""
The drill: real processes under load and failures, and an account of every callback.

A ledger of what was sent and answered, kept by a process of its own, is compared at the end with
what the service stored and shows. A mode (`modes`) says what runs, which failures there are and
what must be seen.
"""
