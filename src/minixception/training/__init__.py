"""Training a classifier: recipes, batches, the trainer and the state it resumes from."""
