"""One process per loaded model: keeps a snapshot warm and answers predictions over a Unix socket (`digits.ipc.messages`)."""
