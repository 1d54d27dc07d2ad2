"""The folder of a study: what it plans, its shards, and what they prove."""
