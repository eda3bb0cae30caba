"""What the suite puts a store through: crashes, damage, outages, crowds of callers, users who are not the owner."""
