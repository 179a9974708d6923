"""The end-to-end tests' support code: the server as a process, and third-party clients.

Nothing here sleeps for a guessed time. Each wait names its condition and its deadline.
"""
