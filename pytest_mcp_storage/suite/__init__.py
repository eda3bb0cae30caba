"""The tests of the contract: a module a clause group, a function a statement, each to be checked against it by eye."""
