"""Where endpoints live on this machine: what is desired and observed of them, and the registry of models and environments."""
