"""What every page shares: request, arguments, errors, security, login, JSON, OpenAPI."""
