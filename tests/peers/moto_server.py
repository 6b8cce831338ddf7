"""moto's server, which verifies what was signed.

Where a request without a body has parameters in its path, moto takes these for what was signed as the body, and a right
signature for wrong. Here it takes the body that came.
"""

import sys

from moto.iam.access_control import IAMRequestBase
from moto.server import main

taken_for_signed = IAMRequestBase._create_aws_request


def signed(self):
    request = taken_for_signed(self)
    if self._method in ("GET", "HEAD", "DELETE") and not self._body:
        request.data = b""
    return request


IAMRequestBase._create_aws_request = signed
sys.exit(main())
