"""Decide what to draw, what a store should return, and whether a history can be explained.

- ``generators``: Hypothesis strategies for names, sessions, changes and TTLs.
- ``edge_cases``: values and sessions that stores are known to lose or alter.
- ``edge_texts``: values made from a text or number that a store's source names.
- ``confusables``: names that a careless key, pattern or collation treats as the same.
- ``limits``: the contract's numbers.
- ``store_model``: the sessions that a store should hold.
- ``machine``: state machines that compare a store with the model.
- ``mixed_key_machine``: state machines over handles with different keys.
- ``operations``: what planned sequences are made of.
- ``sequence_plan``: sequences that hold every operation after every other.
- ``sequence_model``: what a store may hold after each of their steps.
- ``history``: what concurrent callers saw, by session.
- ``judge``: judges each call of a sequence by the model.
- ``scenario``: a sequence of calls as plain data.
- ``replay``: replays it on a fresh namespace of a store.
- ``reduction``: reduces it to the fewest calls that show a failure.
- ``plain_sequence``: the calls that are tried if those of a failure can't be replayed.
- ``simplification``: simpler variants of it.
- ``printing``: prints it.
- ``linearizability``: whether an order of the calls explains it.
- ``timeline``: a drawing of overlapping calls.
- ``assertions``: assertions about what every read returns.
- ``bulk_create``: many sessions at once.
- ``entropy``: how much of a sample cannot be guessed.
- ``name_catalogue``: bare names on which programs go wrong, by what they do to a name, each kind with its source.
- ``value_catalogue``: values on which serializers, drivers and databases go wrong, by kind, each with its source.
"""
