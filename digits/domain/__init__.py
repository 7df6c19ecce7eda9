"""What the parts talk about: plain frozen dataclasses of the standard library, without any input or output."""
