"""The commands of ``mcp-storage``, one module each.

- ``bench``: ``bench``: times stores.
- ``bridge_kit``: ``bridge-kit``: the files that an author of a bridge copies.
- ``clauses``: ``clauses``: prints the contract.
- ``contract``: ``contract``: writes CONFORMANCE.md.
- ``doctor``: ``doctor``: checks the store that the environment chooses.
- ``explain``: ``explain``: prints the causes of a report's failures.
- ``key``: ``key``: prints a new key.
- ``migrate``: ``migrate``: copies sessions of ``@mcp-ts/sdk``.
- ``new_harness``: ``new-harness``: writes a harness for a store.
- ``report``: ``report``: merges reports.
- ``reseal``: ``reseal``: seals every session under the first key.
- ``stack``: ``stack``: a Supabase stack on this machine.
- ``supabase_init``: ``supabase-init``: copies the migrations of the table.
- ``zoo``: ``zoo``: runs the mutants.
- ``output``: makes what is printed fit the encoding of the terminal.
- ``checks``: what is wrong with a store, as its environment names it: ``mcp-storage doctor``. It writes nothing.
"""
