"""Talks with a decoder: see __main__.py."""
