"""The commands of ``mcp-storage``, one module each.

- ``bridge_kit``: ``bridge-kit``: the files that an author of a bridge copies.
- ``clauses``: ``clauses``: prints the contract.
- ``contract``: ``contract``: writes CONFORMANCE.md.
- ``key``: ``key``: prints a new key.
- ``migrate``: ``migrate``: copies sessions of ``@mcp-ts/sdk``.
- ``new_harness``: ``new-harness``: writes a harness for a store.
- ``report``: ``report``: merges reports.
- ``stack``: ``stack`` and ``supabase-init``.
- ``zoo``: ``zoo``: runs the mutants.
- ``output``: makes what is printed fit the encoding of the terminal.
"""
