"""What variables only refer to, read before the script starts: `MY_KEY='${{keyvault:https://…/secrets/my-key}}'`.

    reference.py     the text of a variable, cut into plain text and references
    resolving.py     all of them at once, within a time limit, with every problem named
    environment.py   the values in a worker's environment; read anew with a reload
    sources.py       which source reads which kind: files and variables, connections, the local store
                     (store.py, cipher.py, keys.py), Azure Key Vault (keyvault.py), HashiCorp Vault (vault.py)

Values live in the front's memory and in its workers' environment, nowhere else: what is said about them names the
variable and the reference.
"""
