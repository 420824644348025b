"""What is on sale without a show: units of a location's pools that all of its channels sell from."""
