"""Standard networks: readable texts that the form shows and the user may edit, and a catalogue of what the libraries have."""
