"""Training: the fit loop, checkpoints and resume, schedules."""
