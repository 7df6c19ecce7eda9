"""Standard networks for TensorFlow as readable texts, and `helpers` for texts of one's own. Importing this loads no framework."""
