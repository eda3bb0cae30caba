"""The stores of ``@mcp-ts/sdk`` as published: its package runs in Node behind a bridge, its stores are seen from here.

One module a store; ``package`` installs, ``harness`` is what they share.
"""
