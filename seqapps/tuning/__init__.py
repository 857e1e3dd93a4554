"""The `tune` command of every recipe: trials, their study, and what comes out."""
