"""What the end-to-end tests stand on: the server as a process, and clients that are not ours.

Nothing here sleeps for a guess. Whoever waits names what for and until when.
"""
