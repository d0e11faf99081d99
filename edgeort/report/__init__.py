"""What a build decided and measured, as one page."""
