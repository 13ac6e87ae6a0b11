"""What a user may set: one YAML file per verb, one folder per choice."""
