"""Routee Receiver: takes Viber delivery callbacks durably, in any order, and answers for them."""
