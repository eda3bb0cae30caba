"""A pytest run that judges backends: from options to the verdict."""
