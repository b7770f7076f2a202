"""Simulated crypto venues: one framework of books, subscriptions and faults, and a voice for each venue."""
