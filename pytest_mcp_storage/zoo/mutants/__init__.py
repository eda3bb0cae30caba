"""The broken stores: a module for each kind of mistake, in the order of ``MODULES``."""
