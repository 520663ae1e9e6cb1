"""The content-addressed store: packed tokens and scores, in Parquet shards written whole and renamed into place."""
