"""Models: form, creation, page, charts, snapshots, archives."""
