"""``{sigv4: {access_key, secret_key, …}}``: AWS Signature Version 4, made anew with the real keys, by botocore.

What the client's own signature says is taken for how it wants to be signed (:mod:`.claim`): for which service and region, in the
header or in the query (a presigned URL), which fields are covered, and what of the body is. Nothing of the signature itself is
sent: a key of somebody else's gets nowhere.

The hash of a body that the client names is signed as it is, for the server compares it with what arrives. Where it names none
and the service wants one, all of the body has to be here first. Chunks that are signed one by one are signed anew one by one
(:mod:`.chunks`).
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from outward.credentials.forms.sigv4.form import SigV4

__all__ = ["SigV4"]
