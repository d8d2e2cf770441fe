"""AWS's wire protocols on the server's side, from the service models that botocore has.

`requests.decode` makes an operation and its parameters of an HTTP request, `responses.encode`
an HTTP response of its result, for the protocols ec2, query, json, rest-json and rest-xml.
"""
