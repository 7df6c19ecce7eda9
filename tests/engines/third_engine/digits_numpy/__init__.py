"""A third engine: softmax regression in NumPy. All that digits knows of it is its row."""
