"""What the image sources share: options and entry files, pairing and splitting, fitting pictures, masks and boxes to a size."""
