"""Training data: what there is (entries), what comes when (sampling), how it is read (crops) and fed (loader)."""
