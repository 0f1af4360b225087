"""One module a form: how a value is put into a request.

``header`` and ``basic`` give header lines that replace what the client sent. ``placeholder`` swaps the placeholder where
the client put it.
"""
