"""Sends one command to a board: paho-mqtt with ALPN `mqtt`, as a device that may publish to the board's commands.

    python docs/examples/paho_command.py localhost 8443 .mqtt443/ca.pem my-board '{"command": "send_now"}'

For AWS: the endpoint's name, 443, and a file with the Amazon root certificates.
"""

import ssl
import sys

import paho.mqtt.client as mqtt

HOST, PORT, CA, BOARD, COMMAND = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]

tls = ssl.create_default_context(cafile=CA)
tls.set_alpn_protocols(["mqtt"])

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="operator")
client.username_pw_set("operator", "test")
client.tls_set_context(tls)
client.connect(HOST, PORT)
client.loop_start()
sent = client.publish(f"commands/{BOARD}", COMMAND, qos=1)
sent.wait_for_publish(5)
if not sent.is_published():
    sys.exit("not acknowledged: check the login, and iot:Publish on that topic")
client.disconnect()
