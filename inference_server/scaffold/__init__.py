"""From a model's file to all that serves it: what is in the file, a script, a sample request, requirements, YAML."""
