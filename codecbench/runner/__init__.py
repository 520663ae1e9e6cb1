"""The runner: plans what is missing, runs codecs and metrics side by side, assembles records."""
