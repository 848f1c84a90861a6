"""Weakens the templates, one small change at a time, and shows that a test notices each one."""
