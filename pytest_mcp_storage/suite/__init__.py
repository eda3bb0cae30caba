"""The clause tests: one, two or three modules a clause group, short enough to compare with the contract by eye."""
