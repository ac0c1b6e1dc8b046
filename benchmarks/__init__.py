"""The product's own figures: ours, the servers a user would take instead, and the limits of the machine."""
