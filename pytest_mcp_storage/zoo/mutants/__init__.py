"""The broken stores: one module for each kind of mistake, in the order of ``MODULES``."""
