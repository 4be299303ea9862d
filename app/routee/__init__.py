"""Routee's HTTP contract: calls, answers, errors, callbacks and the rules of a request."""
