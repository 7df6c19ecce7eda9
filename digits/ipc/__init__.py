"""The protocol between our processes: messages, and the two ends of each socket."""
