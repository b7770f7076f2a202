"""XSIM, an exchange of our own that is polled over REST and has nothing else."""
