"""The model's environment: from a definition file to an interpreter that has what it asks for.

    definition file ─► Definition (what is asked for) ─► key ─► cache: there, or built once ─► its Python

A definition is a conda file, a requirements.txt or a pyproject.toml. Equal definitions, whoever writes them, have one
key on one platform, and one environment for all deployments.
"""
