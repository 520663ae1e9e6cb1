"""Preparation of speech from distribution packages: the built-in corpus and the training data."""
