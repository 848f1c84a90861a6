"""Ways to break a deployed platform, each with the checks that have to notice it."""
