"""The tests of the contract: up to three modules for each clause group, one function for each statement."""
