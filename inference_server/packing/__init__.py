"""Packing a deployment into an image: what goes in, the Dockerfile, and the engine that builds it.

deployment.yml or score.py ─► recipe ─► context (files, Dockerfile) ─► engine ─► image
"""
