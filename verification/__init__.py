"""Checks of a deployed payment platform: the inventory says what should be, AWS what is."""
