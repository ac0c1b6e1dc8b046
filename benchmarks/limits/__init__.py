"""What the machine and the work allow: nobody can be faster by much."""
