"""The ways in which a template can be weakened, by what they touch."""
