"""Loading a server with requests: what is sent, when, over which connections, and what came back.

Nothing here knows the command line; `cli/bench.py` and `tuning/` put the pieces together.
"""
