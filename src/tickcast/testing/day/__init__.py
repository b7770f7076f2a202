"""A day in five minutes: many simulated venues, every fault at random, hundreds of clients, and an equal end."""
