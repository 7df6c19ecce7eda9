"""Files of users: confined paths, uploads, archives that are unpacked, the folder browser."""
