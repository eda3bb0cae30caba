"""From a clause's test to a measurement: the environment, the context upon it, the recording of its calls."""
