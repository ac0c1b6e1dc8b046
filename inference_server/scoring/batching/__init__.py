"""Requests merged into one run() call, and its result split again, inside a worker."""
