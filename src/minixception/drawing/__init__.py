"""Pictures of faces, explanations, training runs and scores."""
