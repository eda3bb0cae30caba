"""The harnesses of the bundled stores, one module a store."""
