"""A script tried without a server: a worker-like process, requests from files, a report."""
