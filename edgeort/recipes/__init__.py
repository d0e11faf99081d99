"""What stands before a model and behind it, as a text: recipes of steps. `grammar` is their language."""
