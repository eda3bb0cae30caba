"""Where the stores live: a house for each kind of mistake, in the order of ``specimens.HOUSES``; ``sound`` has none."""
