"""Checkpoint folders: their cards, their two model files, what runs them, and exports."""
