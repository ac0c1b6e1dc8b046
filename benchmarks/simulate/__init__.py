"""The batching decisions under a fake clock, against the best that search can find. See SIMULATION.md."""
