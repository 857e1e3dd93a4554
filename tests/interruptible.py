"""Processes that Ctrl-C reaches."""

INTERRUPTIBLE = ("env", "--default-signal=INT")
"""Stands before a command: a shell starts background jobs with Ctrl-C ignored, which is inherited.

Not `preexec_fn`: with it Python forks, and where gRPC has threads in this process (the tests of the
server in the same worker) its handlers write to the new process's terminal.
"""
