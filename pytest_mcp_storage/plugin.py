"""pytest's hooks, and nothing else."""
