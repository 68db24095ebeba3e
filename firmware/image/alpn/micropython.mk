# The module alpn for ports built with make: USER_C_MODULES names the folder above this one.
SRC_USERMOD_C += $(USERMOD_DIR)/alpn.c
