"""Public contract tests: one class per contract, which every implementation, also a plugin author's, inherits and passes."""
