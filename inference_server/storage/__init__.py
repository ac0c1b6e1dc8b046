"""The storage initializer: fetches models and code from where they are, whole or not at all."""
