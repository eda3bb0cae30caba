"""The broken stores. ``registry.MODULES`` lists these modules by clause group."""
