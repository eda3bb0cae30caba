"""A Redis or Valkey server for a run.

- ``server``: finds or starts one.
- ``native``: starts one as a process.
- ``docker``: starts one as a container.
- ``endpoint``: a server that answers, and one that ends with this run.
"""
