"""Finding the settings a script runs best with: what to measure next, how to load a server, what to conclude.

Nothing here knows the command line; `cli/tune.py` puts the pieces together.
"""
