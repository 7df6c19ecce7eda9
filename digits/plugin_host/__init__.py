"""The process that runs plugins' page code: forms, `__init__`, views. It answers HTML and JSON over a Unix socket.

Holds: whatever a plugin does (raise, exit, hang, crash) is an answer with a traceback or, at worst, a restart of this
process by the supervisor. Nothing else of the server imports a plugin.
"""
