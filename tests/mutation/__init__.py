"""Models made malformed on purpose, through the whole pipeline: each ends in success or in an EdgeortError."""
