#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_peer_info
short_description: Look from a host at the certificate that a server shows
version_added: 0.1.0
description:
  - Opens a TLS connection from the host to a server, as a client of that server will, and tells whether the
    certificate it shows is of the given CA, for the given name and within its time.
  - Sends nothing and changes nothing. A server that asks for a certificate of the client is looked at all the
    same, for it shows its own first.
options:
  address:
    description:
      - Host name or address of the server.
    type: str
    required: true
  port:
    description:
      - Its TCP port.
    type: int
    required: true
  name:
    description:
      - The name or address that the certificate must be for.
    type: str
    required: true
  ca:
    description:
      - Reference V(env:NAME) or V(file:PATH) to the CA's certificate on the controller.
    type: str
    required: true
  required:
    description:
      - Fail when the server shows a certificate that is not good. A server that does not answer is no
        failure.
    type: bool
    default: false
  timeout:
    description:
      - How many seconds the server may take to answer.
    type: int
    default: 5
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.info
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Nobody else answers in the log server's place
  dianrong.cloud.tls_peer_info:
    address: 10.90.0.31
    port: 20514
    name: infra-01
    ca: file:/srv/ca/ca.pem
    required: true
"""

RETURN = r"""
state:
  description: V(good), V(refused) when the certificate is not good, or V(silent) when nobody answers.
  returned: always
  type: str
  sample: good
reason:
  description: What is wrong.
  returned: when the state is not V(good)
  type: str
  sample: "self-signed certificate in certificate chain"
"""

import socket
import ssl

from ansible.module_utils.basic import AnsibleModule


def look(address, port, name, ca, timeout):
    """Return state and reason of the certificate that a server shows."""
    context = ssl.create_default_context(cadata=ca)
    # Python 3.13 refuses CAs without the extensions of RFC 5280 that others do not ask for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        with (
            socket.create_connection((address, port), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return "good", None
    except ssl.SSLCertVerificationError as error:
        return "refused", error.verify_message
    except ssl.SSLError as error:
        # The server's certificate is accepted before the server asks for ours, and misses it.
        if "ALERT" in (error.reason or ""):
            return "good", None
        return "refused", f"it does not speak TLS as we do ({error.reason or error})"
    except OSError as error:
        return "silent", str(error)


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "name": {"type": "str", "required": True},
            "ca": {"type": "str", "required": True},
            "required": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    given = module.params
    state, reason = look(given["address"], given["port"], given["name"], given["ca"], given["timeout"])
    if state == "refused" and given["required"]:
        module.fail_json(
            msg=f"server {given['name']} at {given['address']} port {given['port']}: its certificate is "
            f"refused: {reason}; nothing was changed. Find out who answers there, or give that server a "
            "certificate of your CA",
            state=state,
            reason=reason,
        )
    result = {"changed": False, "state": state}
    module.exit_json(**result, **({"reason": reason} if reason else {}))


if __name__ == "__main__":
    main()
