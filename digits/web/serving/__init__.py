"""Published names over HTTP: their pages, predictions by their tokens, the Open Inference Protocol."""
