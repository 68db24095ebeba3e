// mbedTLS for the tests: the unix port's own choice, and what the ESP32's build has beyond it.
#ifndef MQTT443_TLS_CONFIG_H
#define MQTT443_TLS_CONFIG_H

#include "mbedtls/mbedtls_config_port.h"

#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE

#endif
