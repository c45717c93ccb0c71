"""The cases, one module for each part of a token that may be invalid."""
