"""One module a form: how a value is put into a request.

``header`` and ``basic`` give header lines, ``cookie`` a cookie and ``query`` a parameter, each instead of what the client
sent there. ``placeholder`` swaps the placeholder where the client put it. ``sigv4`` and ``oauth1`` sign the request as a whole
(:mod:`.signing`).
"""
