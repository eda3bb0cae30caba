"""From a clause's test to a measurement: the bench, the trial upon it, the witness of its calls."""
