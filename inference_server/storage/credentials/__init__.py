"""What sources are read with: found in the environment, never said aloud."""
