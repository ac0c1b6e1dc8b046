"""The formats of models, one module each: `look(path)` says what a file holds, None when it is not of that format."""
