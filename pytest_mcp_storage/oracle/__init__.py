"""What the suite thinks with: what to draw, what a store should answer, and whether its history makes sense."""
