"""The command line for users. Each module has the commands of one noun.

Only the session loads the HTTP client, and only the output loads the tables, when they are needed.
``chronos --help`` loads neither.
"""
