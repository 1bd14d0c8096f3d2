"""minixception."""
