"""Short-lived helpers that run a user's network text or augmentation away from the server."""
