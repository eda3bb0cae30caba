"""The tests of the contract: up to three modules a clause group, a function a statement, to be checked by eye."""
