"""Requests kept in a folder, one file each: what a file holds, what it must not hold, how the folder stays small."""
