"""What every engine does with a network's text: reads it, checks it against the data, adds the default loss."""
