"""The files an editor finds a project by: written once, merged into what is there, comments kept."""
