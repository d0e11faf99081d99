"""Tokens per second of a decoder: see __main__.py."""
