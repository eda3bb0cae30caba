"""Secrets that are planted to be found again: in a store's bytes, in what it says, in its envelopes."""
