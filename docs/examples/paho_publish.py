"""A laptop instead of a board: paho-mqtt with ALPN `mqtt`, a user name and a password, no client certificate.

    python docs/examples/paho_publish.py localhost 8443 .mqtt443/ca.pem

For AWS: the endpoint's name, 443, and a file with the Amazon root certificates.
"""

import datetime
import ssl
import sys
import time

import paho.mqtt.client as mqtt

HOST, PORT, CA = sys.argv[1], int(sys.argv[2]), sys.argv[3]
CLIENT_ID = "myClientName"

tls = ssl.create_default_context(cafile=CA)
tls.set_alpn_protocols(["mqtt"])

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=CLIENT_ID)
client.username_pw_set("username", "test")
client.tls_set_context(tls)
client.connect(HOST, PORT)
client.loop_start()
while True:
    client.publish(f"telemetry/{CLIENT_ID}", datetime.datetime.now(datetime.UTC).isoformat(), qos=1)
    time.sleep(1)
