"""What happens under poison, leaving clients, overload: each a story of its own, told of every server that can be in it."""
