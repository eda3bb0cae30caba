"""Choose a store from environment variables.

- ``factory``: ``create_storage``: read the variables, build the store, fall back to memory.
- ``lazy``: ``LazyStorage``, the class of ``storage``: choose the store at the first call.
"""
